"""What a person takes away: files, pictures, tables, and what is shown while a search goes on."""
