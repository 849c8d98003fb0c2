"""A store that was begun with another plan."""

import pytest
from kept_stores import slow_repeats
from toys import PLAN, toy

from flexclim.errors import StoreError
from flexclim.stores import write_store


@slow_repeats
def test_another_plan_is_refused_by_name(kept):
    store = kept.store
    write_store(toy(), store, PLAN)
    before, moment = kept.contents(), kept.moment()
    with pytest.raises(StoreError, match=r"begun with seed 0, not 1; steps null, not 4\. Repeat"):
        write_store(toy(), store, PLAN | {"seed": 1, "steps": 4})
    many = {f"k{i}": i for i in range(9)}
    with pytest.raises(StoreError, match=r"k3 null, not 3 and 5 more\. Repeat"):
        write_store(toy(), store, PLAN | many)
    for other in (toy(side=9), toy(times=39), toy(members=4)):
        with pytest.raises(StoreError, match=r"and this request|has times from"):
            write_store(other, store, PLAN)
    assert before == kept.contents()
    assert kept.written_since(moment) == set()
