# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What MindsDB reads of a handler: it parses the constants below before it imports anything."""

from .__about__ import __description__ as description
from .__about__ import __version__ as version

try:
    from .tabular_handler import TabularHandler as Handler

    import_error: Exception | None = None
except Exception as exc:
    # MindsDB shows this to whoever uses the engine; the pure modules beside stay importable without MindsDB
    Handler = None  # type: ignore[assignment,misc,unused-ignore]
    import_error = exc

title = "Tabular"
name = "tabular"
type = "ml"  # noqa: A001 - the name that MindsDB looks for
permanent = False

__all__ = ["Handler", "description", "import_error", "name", "permanent", "title", "type", "version"]
