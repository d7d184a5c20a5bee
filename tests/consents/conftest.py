from __future__ import annotations

from tests.catalog.conftest import shop, shop_on_both

__all__ = ["shop", "shop_on_both"]
