"""Moving parts of a picture: from a few displaced points to a dense field for ``cv2.remap``.

Displacements spread from control points by thin-plate splines (Bookstein 1989, "Principal warps")
over a mesh, and the mesh's triangles are mapped piecewise affinely. Triangles may collapse to a
line, which is how an open mouth closes without its teeth being smeared over the lips.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]


def thin_plate(points: Points, displacements: Points, at: Points) -> Points:
    """Interpolate displacements smoothly.

    :param points: (n, 2), distinct, not on one line.
    :param displacements: (n, 2) at ``points``, met exactly.
    :param at: (m, 2) where they are wanted.
    :returns: (m, 2).
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
    """Return, for every pixel of the moved picture, how far away its source pixel lies.

    :param vertices: (n, 2) positions in the original picture.
    :param moved: (n, 2) positions in the moved one.
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
    # Filling covers a pixel beyond each edge: the larger triangle, the milder one, comes last.
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
