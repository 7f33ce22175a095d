"""The shapes that cross a boundary: files, activities, the command line, the sandbox's door."""
