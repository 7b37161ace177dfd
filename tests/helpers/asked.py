"""Ask a dashboard that said where it is."""

import json
import re
import urllib.request
from typing import Any

ADDRESS = re.compile(r"dashboard: (http://\S+?)(/dashboard/studies/\d+)")


def fetched(said: str, path: str) -> Any:
    """Ask the dashboard whose address was said."""
    found = ADDRESS.search(said)
    assert found is not None, said
    url = found[1] + path.replace("ID", found[2].rpartition("/")[2])
    with urllib.request.urlopen(url, timeout=30) as answer:
        content = answer.read()
    return json.loads(content) if "json" in answer.headers["Content-Type"] else content
