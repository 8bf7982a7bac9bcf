"""The book: its engine (lab), its sections (papers) and the scripts that build the site."""
