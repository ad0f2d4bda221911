"""Files, uploads, and immutable dataset versions in the formats people have."""

from plinth.data.errors import EmptyDataset, InvalidRows, RowError, UnknownSplit
from plinth.data.formats import Reading
from plinth.data.model import Dataset, DatasetVersion, Edge, File, Kind, Layout, NewFile, Row, SplitRule, Upload
from plinth.data.ports import BlobUser
from plinth.data.service import DataService

__all__ = [
    "BlobUser",
    "DataService",
    "Dataset",
    "DatasetVersion",
    "Edge",
    "EmptyDataset",
    "File",
    "InvalidRows",
    "Kind",
    "Layout",
    "NewFile",
    "Reading",
    "Row",
    "RowError",
    "SplitRule",
    "UnknownSplit",
    "Upload",
]
