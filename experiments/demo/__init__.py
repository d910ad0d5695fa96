"""Demo: a page to try a detector and to search a collection.

    server.py      the page and its requests: a comparison of two questions, a search
    page/          HTML, style and script as plain files; nothing is loaded from other machines

__main__.py loads detector and collection and starts the server.
"""
