"""Add the pages at the top of the repository to the site, and adapt links to their place there."""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
# Page of the site to its file; all other pages are in docs/.
TOP_PAGES = {name: name for name in ("CHANGELOG.md", "CONTRIBUTING.md")} | {"index.md": "README.md"}
LINK = re.compile(r"\[([^\]]*)\]\(([^)\s]+)\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages at the top of the repository."""
    for page, name in TOP_PAGES.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Adapt the links of a page; MkDocs reports those to files that do not exist."""
    source = TOP_PAGES.get(page.file.src_uri, f"docs/{page.file.src_uri}")

    def adapt(link: re.Match[str]) -> str:
        text, target = link.groups()
        name, hash_sign, heading = target.partition("#")
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), name))
        if "://" in target or not name or not (ROOT / path).exists():
            return link[0]
        on_site = {name: page for page, name in TOP_PAGES.items()}.get(path)
        if on_site or path.startswith("docs/"):
            return f"[{text}]({on_site or path.removeprefix('docs/')}{hash_sign}{heading})"
        # A file that is not on the site: in the repository, if its address is known.
        return f"[{text}]({config.repo_url}/blob/HEAD/{path})" if config.repo_url else text

    return LINK.sub(adapt, markdown)
