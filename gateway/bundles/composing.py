"""From rules, products and preferences to a bundle. Pure: the same three always give the same, and it explains itself.

A price is the product's own and nothing else's: preferences decide the order alone, and no product is listed at two
prices. Without preferences it is the generic list, of the same products at the same prices (PIPL Art. 24).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Self

from gateway.bundles.rules import Rule, RuleSet, Source
from gateway.errors import Conflicting

NOTHING: Mapping[str, Any] = {}
"""The preferences of the generic list."""


class Product(NamedTuple):
    """Something on offer. `price` is in the smallest unit of `currency`; `fields` are all that rules may look at."""

    dataset: str
    code: str
    name: str
    price: int
    currency: str
    fields: Mapping[str, Any]

    @classmethod
    def of(cls, source: Source, fields: Mapping[str, Any]) -> Product | None:
        """A product of a record; None where code, name or price are missing, for it can't be offered."""
        code, name, price = (fields.get(one) for one in (source.code, source.name, source.price))
        if not (isinstance(code, str) and isinstance(name, str) and type(price) is int):
            return None
        return cls(source.dataset, code, name, price, source.currency, fields)


class PriceList(NamedTuple):
    """What is on offer. However often a product is listed, it has one price: no preference can choose between two."""

    products: tuple[Product, ...]

    @classmethod
    def of(cls, products: Iterable[Product]) -> Self:
        """`Conflicting` names the product that has more than one price."""
        listed = tuple(products)
        prices: dict[tuple[str, str], tuple[int, str]] = {}
        for one in listed:
            price = (one.price, one.currency)
            if prices.setdefault((one.dataset, one.code), price) != price:
                raise Conflicting(
                    "product_priced_twice",
                    f"The product {one.code} of the dataset {one.dataset} has more than one price.",
                    field="/products",
                    remedy="Have its owner list it at one price, and let all your rules name one field as its price.",
                )
        return cls(listed)


class Item(NamedTuple):
    """One product of a bundle, with the codes of the rules that preferred it."""

    product: Product
    reasons: tuple[str, ...]

    def describe(self) -> dict[str, Any]:
        """As the member that serves the person sees it."""
        dataset, code, name, price, currency, _ = self.product
        named = {"dataset": dataset, "code": code, "name": name, "price": price, "currency": currency}
        return {**named, "reasons": list(self.reasons)}


class Bundle(NamedTuple):
    """What is offered, the fields of the person that had a part in it, and the words of each reason."""

    items: tuple[Item, ...]
    fields_used: tuple[str, ...]
    words: Mapping[str, Mapping[str, str]]

    def describe(self) -> dict[str, Any]:
        """Everything, for the answer and for the stored explanation alike."""
        return {
            "items": [one.describe() for one in self.items],
            "fields_used": list(self.fields_used),
            "words": {code: dict(words) for code, words in self.words.items()},
        }


def compose(rules: RuleSet, listed: PriceList, preferences: Mapping[str, Any] = NOTHING) -> Bundle:
    """The products with the most weight, at most `rules.size`; equal ones by dataset and code."""
    met = [rule for rule in rules.rules if rule.when.holds(preferences)]
    ranked = sorted(listed.products, key=lambda one: (-_weight(met, one), one.dataset, one.code))
    chosen = tuple(Item(one, tuple(rule.code for rule in _preferring(met, one))) for one in ranked[: rules.size])
    given = {code for one in chosen for code in one.reasons}
    used = tuple(rule for rule in met if rule.code in given)
    fields = tuple(sorted({rule.when.field for rule in used}))
    return Bundle(chosen, fields, {rule.code: rule.words for rule in used})


def _preferring(met: Sequence[Rule], product: Product) -> list[Rule]:
    return [rule for rule in met if rule.prefer.holds(product.fields)]


def _weight(met: Sequence[Rule], product: Product) -> int:
    return sum(rule.weight for rule in _preferring(met, product))
