"""Demo: a page to try a detector on, and to search a collection with it.

    server.py      the page and what it asks: a comparison of two questions, a search
    page/          HTML, style and script as plain files; nothing comes from another machine

__main__.py loads detector and collection and starts the server.
"""
