"""Golden files and Hugging Face datasets, read row by row into cases.

``open_dataset(spec)`` gives a ``Dataset``: ``scan()`` reads everything once and says what it holds
and what is wrong with it; ``cases()`` streams the cases. Each public file of this room is a reader.
"""

from evalkit.datasets._dataset import Dataset, open_dataset
from evalkit.datasets._dice import Changed, Dice
from evalkit.datasets._rows import Row
from evalkit.datasets._scan import DatasetInfo, RowIssue

__all__ = ["Changed", "Dataset", "DatasetInfo", "Dice", "Row", "RowIssue", "open_dataset"]
