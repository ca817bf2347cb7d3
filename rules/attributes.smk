# What is known of images beside their class: data.attributes.
from functools import cache

from lookalike.data.layout import SPLITS
from lookalike.data.protocol import (
    attributes_named,
    attributes_scored_by,
    columns_digest,
    require_findable,
)
from lookalike.storage.digests import digest_of_file

# What settings name of data.attributes, by the setting; and what of it decides rankings.
with errors_without_traceback():
    ATTRIBUTES_NAMED = attributes_named(config)
SCORING_COLUMNS = attributes_scored_by(config["metrics"])
# By split, what the table says of its images; none where there is no table.
ATTRIBUTE_TABLES = {
    f"{split}_attributes": f"<results>/manifest/attributes_{split}.parquet"
    for split in SPLITS
    if DATA.attributes
}


@cache
def require_findable_once(*files_and_digests):
    """See, once for each content, that there is something to find where attributes decide it."""
    of = ("query", "gallery")
    require_findable(
        dict(zip(of, files_and_digests)),
        dict(zip(of, files_and_digests[2:])),
        config["metrics"],
    )


def attributes_of(split, columns):
    """Input function: what data.attributes says of a split's images; nothing without columns."""

    def attributes(wildcards):
        if not columns:
            return []
        file = checkpoints.manifest.get().output[f"{split}_attributes"]
        local_copy(file)
        return file

    return attributes


def attributes_scored(wildcards):
    """Param function: a digest of the attributes that decide rankings.

    It decides alone: the tables, which change with every column, are ancient inputs there.
    """
    if not SCORING_COLUMNS:
        return None
    tables = made_of_tests("{}_attributes")
    return digest_of_attributes(
        *tables, tuple(SCORING_COLUMNS), *map(digest_of_file, tables)
    )


def attributes_within(wildcards):
    """Param function: the same of those alone that decide which images may be neighbours."""
    within = config["metrics"]["within"]
    if not within:
        return None
    tables = made_of_tests("{}_attributes")
    return digest_of_attributes(*tables, tuple(within), *map(digest_of_file, tables))


@cache
def digest_of_attributes(query, gallery, columns, *digests):
    """Of the tables of query and gallery, in some columns."""
    return [columns_digest(table, columns) for table in (query, gallery)]
