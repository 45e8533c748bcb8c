"""Every address whose body says something, with its fields, as the table of the API has them."""

from __future__ import annotations

from chatserver.site.api.table import TABLE

BODIES: dict[tuple[str, str], tuple[str, ...]] = {
    (row.method, row.path): tuple(field.name for field in row.fields) for row in TABLE if row.fields
}
