"""What lies in a folder and below it."""

from pathlib import Path

from lookalike.data.walking import files_below


def test_all_files_below_but_litter_and_circles(tmp_path: Path) -> None:
    root = tmp_path / "images"
    for name in ("b.png", "a/2.jpg", "a/10.jpg", ".hidden.png", "Thumbs.db", "__MACOSX/a.png"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    (root / "a" / "round").symlink_to(root)
    assert files_below(root) == ["a/10.jpg", "a/2.jpg", "b.png"]
