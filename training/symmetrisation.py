"""Two directional word alignments made into one (Koehn et al. 2003, section 4.5)."""

from collections.abc import Iterable

from model.alignment import Pair

NEIGHBOURS = ((-1, 0), (0, -1), (1, 0), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1))
"""Steps from a link to those beside it, (source, target); straight ones come first."""


def grow_diag_final_and(forward: Iterable[Pair], backward: Iterable[Pair]) -> set[Pair]:
    """Links of both directions, from the sure ones outwards; all pairs are (source, target).

    Starts with the intersection. *Grow-diag* adds links of the union that stand beside one that is
    in, diagonals included, and whose source or target word has none yet, until there are no more.
    *Final-and* adds links of the union between two words that both have none, those of `forward`
    first. Deterministic: candidates are tried in the order of the links that they stand beside.
    """
    first, second = set(forward), set(backward)
    union = first | second
    links = first & second
    sources = {source for source, _ in links}
    targets = {target for _, target in links}

    def add(link: Pair) -> None:
        links.add(link)
        sources.add(link[0])
        targets.add(link[1])

    # What was just added may have neighbours that were passed before: they are tried next.
    frontier = sorted(links)
    while frontier:
        added = []
        for source, target in frontier:
            for down, right in NEIGHBOURS:
                link = (source + down, target + right)
                is_new = link in union and link not in links
                if is_new and (link[0] not in sources or link[1] not in targets):
                    add(link)
                    added.append(link)
        frontier = added
    for direction in (first, second):
        for link in sorted(direction - links):
            if link[0] not in sources and link[1] not in targets:
                add(link)
    return links
