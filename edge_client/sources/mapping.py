"""The columns of a source, as a site's file declares them: which column or field each comes from, and its type.

Of a stream only the declared columns are kept. Of files and tables the declared columns are renamed and converted, and the others
keep their names and types. A column that a declared one comes from has no other name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from .declared_column import Column, raw_name


@dataclass(frozen=True)
class Mapping:
    """The declared columns, by different names. Without one, a file or table is read as it is."""

    columns: tuple[Column, ...] = ()

    def column(self, name: str) -> Column | None:
        """The declared column of this name."""
        return next((one for one in self.columns if one.name == name), None)

    def origin(self, name: str) -> str:
        """The column of the source from which a column comes; see `raw_name`."""
        column = self.column(name)
        return name if column is None else raw_name(column.origin)

    def hides(self, name: str) -> bool:
        """Whether a column of the source has no name of its own here: only declared ones come from it, or one has its name."""
        return any(name in (one.name, raw_name(one.origin)) for one in self.columns)

    def apply(self, table: pa.Table) -> pa.Table:
        """The declared columns whose origin the table has, in their order, and then its others that are not hidden.

        Args:
            table: columns of the source, by their own names; those of a record of a stream as `raw_name` says.

        Raises:
            EventColumnError: a column can never have the declared type. EventsError: the source has two columns of one name.
        """
        from .conversions import declared

        if not self.columns:
            return table
        columns = {one.name: declared(one, table) for one in self.columns if raw_name(one.origin) in table.column_names}
        kept = [field for field in table.schema if not self.hides(field.name)]
        fields = [*(field for field, _ in columns.values()), *kept]
        return pa.table(
            [*(values for _, values in columns.values()), *(table.column(field.name) for field in kept)],
            pa.schema(fields),
        )

    def schema(self) -> pa.Schema:
        """The columns of a stream, all of which are declared with their types."""
        from .conversions import type_of

        return pa.schema([(one.name, type_of(one.kind)) for one in self.columns if one.kind is not None])


NO_COLUMNS: Final = Mapping()
"""Nothing is declared: the columns of a file or table keep their names and types."""
