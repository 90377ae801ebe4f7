"""What goes wrong with results on disk."""


class ResultsError(ValueError):
    """A dataset does not fit the schema."""


class DamagedData(ResultsError):
    """A file's bytes are not what its name or record promises."""
