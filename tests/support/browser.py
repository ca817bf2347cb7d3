"""Pages as a browser lays them out: a script looks at each, at several widths."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)

_FRAMES = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>frames</title></head>
<body>%(frames)s<pre id="found"></pre><script>
const look = async (window, document) => {%(script)s};
addEventListener("load", async () => {
  const found = {};
  for (const frame of document.querySelectorAll("iframe"))
    try { found[frame.dataset.width] = await look(frame.contentWindow, frame.contentDocument); }
    catch (error) { found[frame.dataset.width] = String(error.stack); }
  document.getElementById("found").textContent = JSON.stringify(found);
});
</script></body></html>"""


def looked_at(
    page: str, script: str, folder: Path, *, widths: Sequence[int], dark: bool = False
) -> dict[str, Any]:
    """What a script returns of a page, by the page's width in pixels.

    Args:
        page: HTML. Its content security policy is taken off, so that a script may look at it.
        script: the body of a function of `window` and `document`, which may await.
        folder: where the browser may write.
        widths: of the frames that the page is laid out in.
        dark: whether the reader asks for a dark page.
    """
    assert CHROMIUM is not None
    open_page = re.sub(r'<meta http-equiv="Content-Security-Policy".*?>', "", page, flags=re.S)
    assert open_page != page
    frames = "".join(
        f'<iframe title="{width}" data-width="{width}" srcdoc="{html.escape(open_page)}"'
        f' style="width:{width}px;height:844px;border:0"></iframe>'
        for width in widths
    )
    place = folder / "frames.html"
    place.write_text(_FRAMES % {"frames": frames, "script": script}, encoding="utf-8")
    done = subprocess.run(
        [
            CHROMIUM,
            *("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
            f"--blink-settings=preferredColorScheme={0 if dark else 1}",
            f"--user-data-dir={folder / 'profile'}",
            *("--virtual-time-budget=60000", "--dump-dom", place.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    (found,) = re.findall(r'<pre id="found">(.*?)</pre>', done.stdout, re.S)
    answer: dict[str, Any] = json.loads(html.unescape(found))
    return answer
