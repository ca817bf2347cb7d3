"""Random edits of a project: its data, its settings, its results, its cache, its runs.

Every edit keeps the data usable. What is random follows from a seed, except when a run is killed.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping
from typing import Any

from support.edited_project import GALLERY, KEPT, QUERY, NotNowError, Project
from support.snakemake_runs import Run, repeatable, start, write_settings

# Never more than two models at once: more would take time and show nothing else.
RUNS = [(["default"], [0]), (["default"], [3, 0]), (["other", "default"], [0]), (["other"], [3])]
# What a run may say of an image that is edited while it runs.
CHANGED = re.compile("changed since the manifest was made|cannot be read")


def add_image(project: Project) -> str:
    split, kind = project.some_split(), project.pick(["bmp", "png"])
    name, label = project.new_name(kind), project.some_label(split)
    project.write(split, name, project.picture(label, kind))
    project.relabel(split, {name: label})
    return f"added {split}/{name}"


def replace_image(project: Project) -> str:
    split = project.some_split()
    name = project.some_file(split)
    project.write(split, name, project.picture(project.some_label(split), "png"))
    return f"replaced {split}/{name}"


def replace_image_keeping_size(project: Project) -> str:
    """Give a BMP file other pixels: its time alone, which may be long past, tells of it."""
    split = project.some_split()
    name = project.some_file(split, ".bmp")
    path = project.data / split / name
    header, pixels = path.read_bytes()[:54], path.read_bytes()[54:]
    path.write_bytes(header + project.rng.randbytes(len(pixels)))
    dated_back = project.pick([True, False])
    if dated_back:
        project.date_back(path)
    return f"replaced {split}/{name}, keeping its size{', and dated it back' * dated_back}"


def remove_image(project: Project) -> str:
    split = project.some_split()
    name = project.some_file(split)
    (project.data / split / name).unlink()
    if project.pick([True, False]):
        return f"removed {split}/{name} and left its label"
    project.relabel(split, {}, name)
    return f"removed {split}/{name}"


def rename_image(project: Project) -> str:
    split = project.some_split()
    old = project.some_file(split)
    new = project.new_name(old.rpartition(".")[2])
    label = project.labels(split).get(old, project.some_label(split))
    project.move(split, old, split, new)
    project.relabel(split, {new: label}, old)
    return f"renamed {split}/{old} to {new}"


def move_image_to_other_split(project: Project) -> str:
    source, target = project.pick([(GALLERY, QUERY), (GALLERY, QUERY), (QUERY, GALLERY)])
    name = project.some_file(source)
    project.move(source, name, target, name)
    return f"moved {source}/{name} to {target}"


def relabel_image(project: Project) -> str:
    split = project.some_split()
    name, label = project.some_file(split), project.some_label(split)
    project.relabel(split, {name: label})
    dated_back = project.pick([True, False, False])
    if dated_back:
        project.date_back(project.labels_path(split))
    return f"labelled {split}/{name} as {label}{', and dated that back' * dated_back}"


def copy_image(project: Project) -> str:
    source, target = project.some_split(), project.some_split()
    name, new = project.some_file(source), project.new_name("png")
    project.write(target, new, (project.data / source / name).read_bytes())
    project.relabel(target, {new: project.some_label(target)})
    return f"copied {source}/{name} to {target}/{new}"


def link_image(project: Project) -> str:
    """One file as a query and in the gallery, which a query does not find as itself."""
    source, target = project.pick([(QUERY, GALLERY), (GALLERY, QUERY)])
    name = project.some_file(source)
    path = project.data / target / name
    if os.path.lexists(path):
        raise NotNowError
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(os.path.relpath(project.data / source / name, path.parent))
    return f"linked {target}/{name} to {source}"


def replace_link_by_copy(project: Project) -> str:
    links = [path for path in sorted(project.data.rglob("*.*")) if path.is_symlink()]
    path = project.pick(path for path in links if path.exists())
    copy = path.with_name("copy.png")
    shutil.copy2(path, copy)  # with its time
    copy.rename(path)
    return f"replaced the link {path.relative_to(project.data)} by a copy"


def damage_image(project: Project) -> str:
    split = project.some_split()
    name = project.some_file(split)
    content = (project.data / split / name).read_bytes()
    done, left = project.pick(
        [("cut short", content[: len(content) // 2]), ("emptied", b""), ("made a text", b"none")]
    )
    project.write(split, name, left)
    return f"{done}: {split}/{name}"


def touch_images(project: Project) -> str:
    split = project.some_split()
    for path in (project.data / split).rglob("*.*"):
        if path.exists():
            path.touch()
    return f"touched all of {split}"


def date_image_back(project: Project) -> str:
    split = project.some_split()
    name = project.some_file(split)
    project.date_back(project.data / split / name)
    return f"dated back {split}/{name}"


def swap_images(project: Project) -> str:
    split = project.some_split()
    first, second = project.some_file(split), project.some_file(split)
    if first == second:
        raise NotNowError
    if project.pick([True, False]):
        project.move(split, first, split, "aside.png")
        project.move(split, second, split, first)
        project.move(split, "aside.png", split, second)
        return f"swapped {split}/{first} and {second} by renaming"
    one, other = ((project.data / split / name).read_bytes() for name in (first, second))
    project.write(split, first, other)
    project.write(split, second, one)
    return f"swapped the contents of {split}/{first} and {second}"


def label_what_is_no_file(project: Project) -> str:
    split = project.some_split()
    name = project.pick([project.new_name("png"), "../outside.png", "shelf"])
    label = project.pick([project.some_label(split), None, 1.5])
    project.relabel(split, {name: label})
    return f"labelled {split}/{name}, which is no file, as {label}"


def remove_label(project: Project) -> str:
    split = project.some_split()
    name = project.pick(name for name in project.labels(split) if not name.startswith(KEPT))
    project.relabel(split, {}, name)
    return f"removed the label of {split}/{name}"


def move_data(project: Project) -> str:
    place = project.folder / f"data{project.once()}"
    project.data.rename(place)
    project.settings["data"] = {"root": str(place)}
    return f"moved the data to {place.name}"


def go_back(project: Project) -> str:
    past = project.pick(sorted(project.past.iterdir()))
    shutil.rmtree(project.data)
    times_too = project.pick([True, False])
    copy = shutil.copy2 if times_too else shutil.copy
    shutil.copytree(past, project.data, symlinks=True, copy_function=copy)
    return f"went back to {past.name}{', file times too' * times_too}"


def _set(settings: dict[str, Any], of: str, key: str, value: object) -> str:
    if settings.get(key) == value:
        raise NotNowError
    settings[key] = value
    return f"set {of}.{key} to {value}"


def change_metrics(project: Project) -> str:
    key, value = project.pick(
        [
            ("k", sorted(project.rng.sample([1, 2, 3, 5, 10], 2))),
            ("exclude", project.pick(["none", "same_file", "same_content"])),
            ("no_relevant", project.pick(["skip", "zero"])),
            ("bootstrap", project.pick([1000, 1500])),
            ("bootstrap_unit", project.pick(["auto", "query", "class"])),
        ]
    )
    return _set(project.settings["metrics"], "metrics", key, value)


def change_embed(project: Project) -> str:
    key, value = project.pick(
        [("shards", 1), ("shards", 2), ("shards", 3), ("shards", 4), ("batch_size", 32)]
    )
    return _set(project.settings["embed"], "embed", key, value)


def change_recipe(project: Project) -> str:
    name = project.pick(project.settings["runs"])
    key, value = project.pick(
        [
            ("epochs", project.pick([1, 2, 3])),
            ("loss", {"name": project.pick(["contrastive", "triplet", "multi_similarity"])}),
            ("augment", {"rotate": project.pick([0.0, 20.0])}),
            ("image", {"size": project.pick([16, 18])}),
            ("model", {"embedding_dim": project.pick([8, 12])}),
        ]
    )
    return _set(project.settings["recipes"][name], f"recipes.{name}", key, value)


def change_runs(project: Project) -> str:
    runs, seeds = project.pick(RUNS)
    if runs == project.settings["runs"] and seeds == project.settings["seeds"]:
        raise NotNowError
    project.settings |= {"runs": runs, "seeds": seeds}
    return f"set runs to {runs}, seeds to {seeds}"


def delete_results(project: Project) -> str:
    shutil.rmtree(project.folder / "results", ignore_errors=True)
    return "deleted the results"


def delete_an_output(project: Project) -> str:
    paths = [project.folder / name for name in repeatable(*project.runs)]
    path = project.pick(path for path in paths if path.exists())
    path.unlink()
    return f"deleted {path.relative_to(project.folder)}"


def delete_cache(project: Project) -> str:
    shutil.rmtree(project.folder / ".lookalike", ignore_errors=True)
    project.embedded.clear()
    return "deleted the cache"


def delete_file_of_cache(project: Project) -> str:
    cache = project.folder / ".lookalike"
    path = project.pick(path for path in sorted(cache.rglob("*")) if path.is_file())
    path.unlink()
    kind, key, *_ = path.relative_to(cache).parts
    if kind == "embeddings":
        project.embedded.pop(key, None)
    return f"deleted {path.relative_to(cache)} of the cache"


def kill_a_run(project: Project) -> str:
    """End Snakemake and its jobs at a random moment, as a power cut would."""
    write_settings(project.folder, project.settings)
    seconds = project.rng.uniform(1, project.seconds)
    with start(project.folder, own_group=True) as process:
        try:
            process.communicate(timeout=seconds)
            return f"ran it, {seconds:.1f} s were enough"
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
    project.run("--unlock")
    jobs = Run(process.returncode, output).jobs
    return f"killed a run after {seconds:.1f} s, when these were done: {jobs}"


def edit_while_it_runs(project: Project) -> str:
    write_settings(project.folder, project.settings)
    seconds = project.rng.uniform(1, project.seconds / 2)
    with start(project.folder) as process:
        try:
            process.communicate(timeout=seconds)
            return f"ran it, {seconds:.1f} s were enough"
        except subprocess.TimeoutExpired:
            edit(project, {add_image: 1, replace_image: 1, remove_image: 1})
            output, _ = process.communicate()
    assert process.returncode == 0 or CHANGED.search(output), project.told(output)
    return (
        f"(that was {seconds:.1f} s after a run had begun, which ended with {process.returncode})"
    )


Edit = Callable[[Project], str]
EDITS: dict[Edit, int] = {  # and how often each is made
    add_image: 3,
    replace_image: 3,
    replace_image_keeping_size: 3,
    remove_image: 3,
    rename_image: 3,
    move_image_to_other_split: 3,
    relabel_image: 3,
    copy_image: 3,
    link_image: 3,
    replace_link_by_copy: 3,
    damage_image: 3,
    touch_images: 2,
    date_image_back: 2,
    swap_images: 3,
    label_what_is_no_file: 2,
    remove_label: 2,
    move_data: 1,
    go_back: 4,
    change_metrics: 3,
    change_embed: 5,
    change_recipe: 2,
    change_runs: 3,
    delete_results: 1,
    delete_an_output: 3,
    delete_cache: 1,
    delete_file_of_cache: 3,
    kill_a_run: 4,
    edit_while_it_runs: 2,
}


def edit(project: Project, edits: Mapping[Edit, int] = EDITS) -> None:
    """Make one of `edits` that is possible, and note it in the project's story."""
    while True:
        [chosen] = project.rng.choices(list(edits), list(edits.values()))
        try:
            project.story.append(chosen(project))
            return
        except NotNowError:
            continue
