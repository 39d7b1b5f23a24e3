"""Warp the portrait's face: a dense displacement field per expression, mixed for each frame."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_estimator.sources import portrait_face as face
from emotion_estimator.sources.portrait_face import (
    PORTRAIT_EXPRESSIONS,
    VOWELS,
    Expression,
    Mouth,
    Points,
    controls,
    movable,
    openings,
)

#: Spacing of the mesh's free vertices, and their least distance to a control point, in pixels.
_PITCH = 4.0
_CLEAR = 2.0

#: Depths in an open mouth, of its opening, between which the teeth give way to darkness.
_TEETH = (0.15, 0.6)
#: How much sooner than it opens the mouth's inside turns dark.
_SOON_DARK = 3.0

#: The second map of ``cv2.remap``, unused if the first has both coordinates. OpenCV 5 would use an
#: empty array as a map.
_NO_MAP: Any = None


def thin_plate(points: Points, displacements: Points, at: Points) -> Points:
    """Interpolate displacements with a thin-plate spline (Bookstein 1989).

    :param points: (n, 2), distinct, not on one line.
    :param displacements: (n, 2) at ``points``, reproduced exactly.
    :param at: (m, 2), where to interpolate.
    :returns: (m, 2), the displacements at ``at``.
    """
    n = len(points)
    system = np.zeros((n + 3, n + 3))
    system[:n, :n] = _kernel(points, points)
    system[:n, n] = system[n, :n] = 1.0
    system[:n, n + 1 :] = points
    system[n + 1 :, :n] = points.T
    weights = np.linalg.solve(system, np.vstack([displacements, np.zeros((3, 2))]))
    basis = np.hstack([_kernel(at, points), np.ones((len(at), 1)), at])
    return np.asarray(basis @ weights)


def _kernel(a: Points, b: Points) -> Points:
    squared = ((a[:, None, :] - b[None, :, :]) ** 2).sum(-1)
    return np.asarray(0.5 * squared * np.log(squared + 1e-12))


def triangulate(vertices: Points, size: tuple[int, int]) -> NDArray[np.int64]:
    """Return the Delaunay triangles of distinct vertices.

    :param vertices: (n, 2), x and y within ``size``.
    :param size: width and height of the picture.
    :returns: (m, 3) indices of vertices.
    """
    subdivision = cv2.Subdiv2D((-1, -1, size[0] + 2, size[1] + 2))
    index = {}
    for i, (x, y) in enumerate(vertices.astype(np.float32)):
        subdivision.insert((float(x), float(y)))
        index[(float(x), float(y))] = i
    corners = np.asarray(subdivision.getTriangleList(), float).reshape(-1, 3, 2)
    triangles = [[index.get((x, y), -1) for x, y in triangle] for triangle in corners]
    return np.array([t for t in triangles if min(t) >= 0], np.int64)


def offset_field(
    vertices: Points, moved: Points, triangles: NDArray[np.int64], size: tuple[int, int]
) -> NDArray[np.float32]:
    """Return, for every pixel of the warped picture, the offset to its source pixel.

    :param vertices: (n, 2) positions in the original picture.
    :param moved: (n, 2) positions in the warped one.
    :param triangles: (m, 3) indices of vertices.
    :param size: width and height of both.
    :returns: float32 (height, width, 2): source position minus own position, 0 outside the mesh.
    """
    width, height = size
    source, target = vertices[triangles], moved[triangles]
    edge_a, edge_b = target[:, 1] - target[:, 0], target[:, 2] - target[:, 0]
    area = 0.5 * np.abs(edge_a[:, 0] * edge_b[:, 1] - edge_a[:, 1] * edge_b[:, 0])
    owner = np.zeros((height, width), np.int32)
    affine = np.zeros((len(triangles) + 1, 2, 3))
    # Filling covers a pixel beyond each edge: the larger triangles, which distort less, come last.
    for i in np.argsort(area):
        if area[i] < 0.25:
            continue
        corners = np.hstack([target[i], np.ones((3, 1))])
        affine[i + 1] = np.linalg.solve(corners, source[i] - target[i]).T
        outline = np.rint(target[i] * 16).astype(np.int32)
        cv2.fillConvexPoly(owner, outline, (int(i) + 1,), shift=4)
    y, x = np.mgrid[:height, :width]
    coefficients = affine[owner]
    offset = coefficients[..., 0] * x[..., None] + coefficients[..., 1] * y[..., None]
    return np.asarray(offset + coefficients[..., 2], np.float32)


class FaceWarp:
    """Mixes expressions into a patch of the picture.

    :param picture: uint8 (H, W, 3), the smiling portrait enlarged by ``scale``.
    :param scale: magnification, an integer.
    """

    def __init__(self, picture: NDArray[np.uint8], scale: int) -> None:
        self._scale = scale
        x, y, width, height = (scale * value for value in face.PATCH)
        #: Rows and columns of the patch in ``picture``.
        self.area = (slice(y, y + height), slice(x, x + width))
        self._smiling = np.ascontiguousarray(picture[self.area])
        self._relaxed = self._without_folds(self._smiling)
        rows, columns = np.mgrid[:height, :width].astype(np.float32)
        self._identity = np.dstack([columns, rows])
        self._hollow = self._with_dark_mouth(self._relaxed)
        self._offsets = {name: self._offset(e) for name, e in PORTRAIT_EXPRESSIONS.items()}
        self._shades = {
            name: self._seam_shade(e.mouth)
            for name, e in PORTRAIT_EXPRESSIONS.items()
            if e.mouth is not None and not e.mouth.opening
        }

    def __call__(self, shares: Mapping[str, float]) -> NDArray[np.uint8]:
        """Return the patch with each expression at its weight (0 to 1); without any, it smiles."""
        where = self._identity
        for name, share in shares.items():
            if share > 0.0 and name in self._offsets:
                where = cv2.scaleAdd(self._offsets[name], share, where)
        opened = sum(shares.get(name, 0.0) for name in VOWELS)
        relaxed = min(sum(shares.get(name, 0.0) for name in self._shades) + opened, 1.0)
        texture = self._smiling
        if relaxed > 0.0:
            texture = cv2.addWeighted(texture, 1.0 - relaxed, self._relaxed, relaxed, 0.0)
        if opened > 0.0:
            dark = min(opened * _SOON_DARK, 1.0)
            texture = cv2.addWeighted(texture, 1.0 - dark, self._hollow, dark, 0.0)
        patch = cv2.remap(
            texture, where, _NO_MAP, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        for name, (area, shade) in self._shades.items():
            if shares.get(name, 0.0) > 0.0:
                kept = patch[area] * (1.0 - shares[name] * shade)
                patch[area] = np.rint(kept).astype(np.uint8)
        return np.asarray(patch, np.uint8)

    def _own(self, points: Points) -> Points:
        """Convert points of the original picture to pixels of the patch."""
        return (points - face.PATCH[:2] + 0.5) * self._scale - 0.5

    def _offset(self, expression: Expression) -> NDArray[np.float32]:
        at, moved = controls(expression)
        grid = _free_vertices(at)
        inner = _inside(movable(expression), grid)
        shift = np.zeros_like(grid)
        shift[inner] = thin_plate(at, moved - at, grid[inner])
        vertices = self._own(np.vstack([at, grid]))
        targets = self._own(np.vstack([moved, grid + shift]))
        height, width = self._identity.shape[:2]
        low, high = np.zeros(2), np.array([width - 1.0, height - 1.0])
        vertices, targets = np.clip(vertices, low, high), np.clip(targets, low, high)
        triangles = triangulate(vertices, (width, height))
        return offset_field(vertices, targets, triangles, (width, height))

    def _without_folds(self, patch: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the patch with the smile's folds softened, since they vanish with the smile."""
        mask = np.zeros(patch.shape[:2], np.uint8)
        for fold in face.FOLDS:
            line = np.rint(self._own(fold)).astype(np.int32)
            cv2.polylines(mask, [line], False, (255,), 4 * self._scale)
        # Telea 2004.
        filled = cv2.inpaint(patch, mask, 3.0 * self._scale, cv2.INPAINT_TELEA)
        filled = cv2.GaussianBlur(filled, (0, 0), 1.2 * self._scale)
        share = cv2.GaussianBlur(mask, (0, 0), 1.2 * self._scale)[..., None] / 255.0 * 0.8
        return np.asarray(patch + share * (filled.astype(float) - patch), np.uint8)

    def _with_dark_mouth(self, patch: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the patch with darkness below the upper teeth, as an open mouth shows it."""
        edges = self._own(face.UPPER_LIP_EDGE), self._own(face.LOWER_LIP_EDGE)
        inside = np.zeros(patch.shape[:2], np.uint8)
        outline = np.rint(np.vstack([edges[0], edges[1][::-1]])).astype(np.int32)
        cv2.fillPoly(inside, [outline], (255,))
        columns = np.arange(patch.shape[1])
        upper, lower = (np.interp(columns, edge[:, 0], edge[:, 1]) for edge in edges)
        depth = (self._identity[..., 1] - upper) / np.maximum(lower - upper, 1.0)
        share = np.clip((depth - _TEETH[0]) / (_TEETH[1] - _TEETH[0]), 0.0, 1.0)
        soft = cv2.GaussianBlur(inside.astype(np.float32) / 255.0, (0, 0), 0.4 * self._scale)
        darkening = (soft * share)[..., None] * np.array([0.72, 0.84, 0.84])
        return np.asarray(np.rint(patch * (1.0 - darkening)), np.uint8)

    def _seam_shade(self, mouth: Mouth) -> tuple[tuple[slice, slice], NDArray[np.float32]]:
        """Return the area of the line between closed lips, and how much it darkens each channel."""
        # It fades towards the corners, where the lips only touch.
        along = np.linspace(-0.97, 0.97, 33)
        line = np.rint(self._own(mouth.seam_at(along)) * 16).astype(np.int32)
        mask = np.zeros(self._identity.shape[:2], np.uint8)
        for start, end, u in zip(line, line[1:], along + 0.5 * (along[1] - along[0])):
            strength = round(255 * (1.0 - 0.7 * float(u) ** 4))
            a, b = (int(start[0]), int(start[1])), (int(end[0]), int(end[1]))
            cv2.line(mask, a, b, (strength,), self._scale, cv2.LINE_AA, shift=4)
        soft = cv2.GaussianBlur(mask, (0, 0), 0.5 * self._scale).astype(np.float32) / 255.0
        left, top, width, height = cv2.boundingRect((soft > 0.01).astype(np.uint8))
        area = (slice(top, top + height), slice(left, left + width))
        darkening = np.array([0.55, 0.75, 0.75], np.float32)
        return area, soft[area][..., None] * darkening


def _free_vertices(at: Points) -> Points:
    """Return a grid over the patch, without points near control points, mouth and eyes."""
    x, y, width, height = face.PATCH
    xs = np.linspace(x - 0.5, x + width - 0.5, int(width / _PITCH))
    ys = np.linspace(y - 0.5, y + height - 0.5, int(height / _PITCH))
    grid = np.stack(np.meshgrid(xs, ys), -1).reshape(-1, 2)
    nearest = np.sqrt(((grid[:, None] - at[None]) ** 2).sum(-1)).min(1)
    keep = nearest > _CLEAR
    for outline in openings():
        shape = outline.astype(np.float32)
        keep &= [cv2.pointPolygonTest(shape, (float(u), float(v)), False) < 0 for u, v in grid]
    return np.asarray(grid[keep])


def _inside(outline: Points, points: Points) -> NDArray[np.bool_]:
    shape = outline.astype(np.float32)
    inside = [cv2.pointPolygonTest(shape, (float(u), float(v)), False) > 0 for u, v in points]
    return np.array(inside)
