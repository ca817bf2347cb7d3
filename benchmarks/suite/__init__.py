"""Recipes on several data sets, beside pytorch-metric-learning by hand: `make suite`.

datasets    which data sets there are, and how each is made
layouts     a data set as its two splits: `development` to choose by, `final` to score once
grey        Fashion-MNIST and the digits
photographs windows of photographs, seen again and again
debian      files of Debian packages
origins     what data sets and the peer's runs come from
settings    the settings of one data set's runs: recipes, steps, folders
runs        the project's own workflow on them, and the peer
peer        pytorch-metric-learning, driven by hand
intervals   the noise of seeds and of classes in one interval
tables      one table of all
"""
