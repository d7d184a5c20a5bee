"""What is there? Datasets with their schemas and classes, sealed records, uploads."""

from gateway.catalog.dataset import Dataset
from gateway.catalog.datasets import Datasets
from gateway.catalog.uploads import Upload, UploadFailed, Uploads

__all__ = ["Dataset", "Datasets", "Upload", "UploadFailed", "Uploads"]
