"""The place of the web pages. Nothing is built here yet; the command line and HTTP show everything."""
