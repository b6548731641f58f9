"""The words of the embedded world. Small on purpose: a model of a million parameters has to know them all."""

from __future__ import annotations

PEOPLE = (
    ("Maya", "she"), ("Tom", "he"), ("Ann", "she"), ("Ben", "he"), ("Lucy", "she"), ("Omar", "he"), ("Rosa", "she"),
    ("Sam", "he"), ("Nina", "she"), ("Leo", "he"), ("Ivy", "she"), ("Max", "he"), ("Zoe", "she"), ("Raj", "he"),
    ("Mei", "she"), ("Paul", "he"), ("Ella", "she"), ("Hugo", "he"), ("Sara", "she"), ("Karl", "he"),
)  # fmt: skip

ITEMS = (
    "beads", "stamps", "marbles", "cookies", "apples", "candles", "books", "pencils", "shells", "stickers", "eggs",
    "roses", "cards", "buttons", "tiles", "bricks", "muffins", "pears", "lemons", "coins", "toys", "pens", "plums",
    "cups", "kites", "masks",
)  # fmt: skip

CONTAINERS = (
    ("bag", "bags"), ("box", "boxes"), ("basket", "baskets"), ("tray", "trays"), ("jar", "jars"), ("pack", "packs"),
    ("case", "cases"), ("tin", "tins"),
)  # fmt: skip

CRATES = (("crate", "crates"), ("shelf", "shelves"), ("cart", "carts"), ("room", "rooms"), ("table", "tables"))

TRAITS = ("red", "blue", "green", "white", "black", "small", "large", "old", "new", "round", "broken", "yellow")

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

GROUPS = ("friends", "children", "cousins", "neighbors", "pupils", "players")

COSTS = ("stall", "bus", "paint", "paper", "glue", "lamp", "sign", "tent")


def singular(plural: str) -> str:
    """beads → bead; the lists above have no irregular item."""
    irregular = {"cookies": "cookie", "boxes": "box", "shelves": "shelf", "children": "child"}
    return irregular.get(plural, plural[:-1])
