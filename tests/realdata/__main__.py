"""`python -m tests.realdata [DIRECTORY]`: replays the whole of the data sets, and compares the counts."""

import sys
import time
from pathlib import Path

from tests.realdata import cdnow, online_retail, replay

DATASETS = Path(__file__).parents[3] / "shared" / "datasets"


def main(directory: Path) -> int:
    """Answers 1 when a count differs."""
    differing = 0
    for shop, name in (
        (online_retail, "uci_online_retail/online_retail.csv.gz"),
        (cdnow, "cdnow/CDNOW_sample.txt"),
        (cdnow, "cdnow/CDNOW_master.txt.gz"),
    ):
        start = time.perf_counter()
        expected = shop.counted(directory / name)
        told = replay.counted(replay.decided(replay.logged(shop.events(directory / name))), shop.ZONE)
        orders, gross, net = told.total
        same = told == expected
        differing += not same
        print(  # noqa: T201 - a script's answer
            f"{name}: {'the same' if same else 'DIFFERENT'}; {orders:,} orders on {len(told.sold)} days by "
            f"{len(told.customers):,} known customers, {len(told.products):,} products, "
            f"{shop.CURRENCY} {gross / 1e6:,.2f} less {(gross - net) / 1e6:,.2f} refunded, "
            f"{sum(one[0] for one in told.cancelled.values())} cancelled; {time.perf_counter() - start:.1f} s",
        )
    return min(differing, 1)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else DATASETS))
