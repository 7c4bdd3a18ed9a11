"""Datasets, batches and augmentation, with PyTorch's habits and NumPy arrays.

dataset.py    Dataset, arrays, subsets, splits          loader.py   DataLoader: shuffle, batch, read ahead
folder.py     images in folders                         augment.py  transforms of batches of images
idx.py        IDX files: MNIST, Fashion-MNIST           draws.py    random numbers keyed by (seed, epoch, index)
cifar.py      CIFAR-10                                  captcha.py  captchas without end
download.py   the cache folder, verified downloads      shapes.py   drawn shapes with the class of every pixel
audio.py      sound as an image of its spectra        stripes.py  drawn stripes to classify
"""

from striate.data.audio import frequency, log_spectrogram
from striate.data.augment import (
    ColorJitter,
    Compose,
    Normalize,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
    RandomRotation,
    Resize,
    Transform,
)
from striate.data.captcha import CaptchaDataset
from striate.data.cifar import cifar10, read_cifar10
from striate.data.dataset import ArrayDataset, Dataset, Subset, random_split
from striate.data.draws import Draws
from striate.data.folder import ImageFolder, read_image
from striate.data.idx import fashion_mnist, mnist, read_idx
from striate.data.loader import DataLoader
from striate.data.shapes import shapes
from striate.data.stripes import stripes
from striate.folders import cache_folder

__all__ = [
    "ArrayDataset",
    "CaptchaDataset",
    "ColorJitter",
    "Compose",
    "DataLoader",
    "Dataset",
    "Draws",
    "ImageFolder",
    "Normalize",
    "RandomCrop",
    "RandomErasing",
    "RandomHorizontalFlip",
    "RandomRotation",
    "Resize",
    "Subset",
    "Transform",
    "cache_folder",
    "cifar10",
    "fashion_mnist",
    "frequency",
    "log_spectrogram",
    "mnist",
    "random_split",
    "read_cifar10",
    "read_idx",
    "read_image",
    "shapes",
    "stripes",
]
