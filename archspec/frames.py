"""Template, values → document: whatever is written with a frame around it is written by Jinja2.

A page, a table for a notebook or a LaTeX document is mostly fixed text with a few holes. The fixed
text is a template, a file beside the code that fills it: `report/table.html.jinja` beside
`report/table.py`. With the template

    <title>{{ title }}</title>

`frame("x.html.jinja", title="a < b")` is `<title>a &lt; b</title>`: what is put into HTML is
escaped, unless it is `Markup`. In LaTeX, where braces are everywhere, a hole is `<< title >>` and a
statement `<% for … %>`.

Only templates of this package are read. No text of a spec ever becomes one.
"""

from __future__ import annotations

from functools import cache
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment


def frame(template: str, /, **values: Any) -> str:
    """The document. `template` is a path in this package; a hole that has no value is an error."""
    return _environment(tex=template.endswith(".tex.jinja")).get_template(template).render(values)


@cache
def _environment(*, tex: bool) -> Environment:
    # imported here: no command but those that write a document pays for it
    from jinja2 import Environment, PackageLoader, StrictUndefined, pass_eval_context
    from jinja2.nodes import EvalContext
    from markupsafe import Markup

    @pass_eval_context
    def escaped(where: EvalContext, value: Any) -> Any:
        # quotes as the standard library and our SVG write them, `&quot;`; Jinja has `&#34;`
        done = not where.autoescape or hasattr(value, "__html__")
        return value if done else Markup(escape(str(value)))

    opens, closes = "<>" if tex else "{}"
    return Environment(
        block_start_string=f"{opens}%",
        block_end_string=f"%{closes}",
        variable_start_string=opens * 2,
        variable_end_string=closes * 2,
        comment_start_string=f"{opens}#",
        comment_end_string=f"#{closes}",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
        autoescape=_is_html,
        finalize=escaped,
        loader=PackageLoader("archspec", ""),
    )


def _is_html(template: str | None) -> bool:
    return template is not None and template.endswith(".html.jinja")
