"""Pictures and kernels: what convolutions do to images, and what a trained network sees in them.

kernels.py    named kernels: blur, sharpen, edges           filter.py     a picture through a kernel
pictures.py   arrays as PNG, side by side                   cases.py      three case studies
maps.py       kernels and feature maps of a network         invariance.py shifted, turned and scaled pictures

    from striate import vision
    vision.save(vision.clipped(vision.filter("photo.jpg", "sharpen")), "sharp.png")
"""

from striate.vision.cases import black_white_edge, contour, mean_blur, scene
from striate.vision.filter import filter, picture
from striate.vision.invariance import curve, invariance_score, pooled, scaled, shifted, shifts_kept, similarity, turned
from striate.vision.kernels import KERNELS, box, kernel
from striate.vision.maps import feature_maps, show_kernels, show_maps
from striate.vision.pictures import clipped, image_of, magnitude, save, shown, side_by_side, stretched

__all__ = [
    "KERNELS",
    "black_white_edge",
    "box",
    "clipped",
    "contour",
    "curve",
    "feature_maps",
    "filter",
    "image_of",
    "invariance_score",
    "kernel",
    "magnitude",
    "mean_blur",
    "picture",
    "pooled",
    "save",
    "scaled",
    "scene",
    "shifted",
    "shifts_kept",
    "show_kernels",
    "show_maps",
    "shown",
    "side_by_side",
    "similarity",
    "stretched",
    "turned",
]
