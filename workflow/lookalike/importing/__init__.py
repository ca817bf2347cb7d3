"""From images as people have them to the layout that the workflow reads."""
