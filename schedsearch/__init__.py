"""schedsearch: which learning-rate schedule should I use, and how sure am I?"""
