"""Made people, as the files that real systems export: with a byte-order mark, mixed line ends, gaps and repeats.

Real customers can't be public. Faker (zh_CN) makes these from a fixed seed, so every run makes the same
files. A third of the airline's customers are the bank's too, and a quarter of the hotel's.
"""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from faker import Faker

SEED = 20130101
PEOPLE = 20_000
COLUMNS = ("customer_no", "name", "phone", "email", "city", "birth_date", "id_number", "tier", "monthly_spend")
_OLDEST, _YOUNGEST = date(1940, 1, 1), date(2005, 12, 31)
_TIERS = ("standard", "silver", "gold", "platinum")
_FULL_WIDTH = {ord("0") + digit: 0xFF10 + digit for digit in range(10)}
_HALF_WIDTH = {wide: digit for digit, wide in _FULL_WIDTH.items()}
_EMPTY_CELL = 0.03
_FULL_WIDTH_PHONE = 0.02
_REPEATED_ROW = 0.005


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who does not exist."""

    name: str
    phone: str
    email: str
    city: str
    birth_date: str
    id_number: str


@dataclass(frozen=True, slots=True)
class Export:
    """One company's customer file, and the customer numbers in it."""

    path: Path
    numbers: tuple[str, ...]

    def rows(self) -> Iterator[dict[str, str]]:
        """The rows of the file, in the digits that the gateway keeps."""
        with self.path.open(encoding="utf-8-sig", newline="") as file:
            for row in csv.DictReader(file):
                yield row | {"phone": row["phone"].translate(_HALF_WIDTH)}

    def number_of(self, phone: str) -> str:
        """Whose telephone number it is."""
        return next(row["customer_no"] for row in self.rows() if row["phone"] == phone)


def export_customers(folder: Path, progress: Callable[[int, int], None]) -> dict[str, Export]:
    """Write `bank.csv`, `airline.csv` and `hotel.csv`; equal seeds write equal bytes."""
    chance = random.Random(SEED)  # noqa: S311 - made data, nothing secret
    total = PEOPLE + PEOPLE * 2 // 3 + PEOPLE * 3 // 4
    people = list(_reported(_people(total), progress, total))
    bank = people[:PEOPLE]
    airline = bank[: PEOPLE // 3] + people[PEOPLE : PEOPLE + PEOPLE - PEOPLE // 3]
    hotel = bank[-(PEOPLE // 4) :] + people[-(PEOPLE - PEOPLE // 4) :]
    return {
        company: _export(folder / f"{company}.csv", company[0].upper(), customers, chance)
        for company, customers in (("bank", bank), ("airline", airline), ("hotel", hotel))
    }


def _people(total: int) -> Iterator[Person]:
    faker = Faker("zh_CN")
    faker.seed_instance(SEED)
    for number in range(total):
        birth = faker.date_between(_OLDEST, _YOUNGEST)
        yield Person(
            name=faker.name(),
            phone=f"1{(3, 5, 7, 8, 9)[number % 5]}{number:09d}",
            email=f"{faker.user_name()}{number}@example.net",
            city=faker.city_name(),
            birth_date=birth.isoformat(),
            id_number=f"{110101 + number % 800:06d}{birth:%Y%m%d}{number % 1000:03d}X",
        )


def _reported(people: Iterator[Person], progress: Callable[[int, int], None], total: int) -> Iterator[Person]:
    for number, person in enumerate(people, 1):
        if number % 1000 == 0:
            progress(number, total)
        yield person


def _export(path: Path, letter: str, customers: list[Person], chance: random.Random) -> Export:
    numbers = []
    with path.open("wb") as file:
        file.write(b"\xef\xbb\xbf" + ",".join(COLUMNS).encode() + b"\r\n")
        for number, person in enumerate(customers):
            customer_no = f"{letter}{number:06d}"
            numbers.append(customer_no)
            line = _row(customer_no, person, chance)
            file.write(line)
            if chance.random() < _REPEATED_ROW:
                file.write(line)
    return Export(path, tuple(numbers))


def _row(customer_no: str, person: Person, chance: random.Random) -> bytes:
    phone = person.phone.translate(_FULL_WIDTH) if chance.random() < _FULL_WIDTH_PHONE else person.phone
    cells = [
        customer_no,
        person.name,
        phone,
        person.email,
        person.city,
        person.birth_date,
        person.id_number,
        chance.choice(_TIERS),
        f"{chance.lognormvariate(7, 1):.2f}",
    ]
    for optional in (3, 4, 8):
        if chance.random() < _EMPTY_CELL:
            cells[optional] = ""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n" if chance.random() < 0.5 else "\n").writerow(cells)  # noqa: PLR2004
    return text.getvalue().encode()
