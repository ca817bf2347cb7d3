"""Recipes made of recipes: one that extends another, and sweeps over settings.

`merging` lays settings over each other, `extending` follows `extends`, `paths` knows the settings
by their dotted paths, `points` are those of a sweep, `naming` gives them their names, `expansion`
makes recipes of them, `plan` says which are trained when, `selection` which of them wins. Imports
nothing heavy: rules use it.
"""
