"""The book: the lab (its engine), the papers (their sections) and the scripts that build the site."""
