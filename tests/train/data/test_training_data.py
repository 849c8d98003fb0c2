import numpy as np

from flexclim.train.data.training_data import open_training_data

FORECAST = (
    "data.tasks={forecast: 1}",
    "data.scaling=fixed",
    "data.inputs=[u10, v10]",
    "data.sources.0.variables=[]",
    "data.sources.0.signed=false",
    "data.forecast.leads={6h: 1, 12h: 1}",
)


BOTH = (*FORECAST[1:], "data.tasks={superres: 1, forecast: 3}", "data.points=1")


def test_steps_take_turns_by_their_shares(folder, read):
    made = open_training_data(read(folder, *BOTH)).train
    tasks = [made.batch(step, 1).task for step in range(40)]
    assert 22 <= tasks.count("forecast") <= 37
    assert tasks == [made.batch(step, 1, 1).task for step in range(40)]  # on any rank


def test_the_choice_of_the_task_leaves_that_of_patches_alone(folder, read):
    data = open_training_data(read(folder, *BOTH, "data.tasks={superres: 1, forecast: 1}"), None)
    turned = read(folder, *BOTH, "data.tasks={forecast: 1, superres: 1}")
    first, second = data.train, open_training_data(turned, data.fitted).train
    steps = [step for step in range(20) if first.batch(step, 1).task == "forecast"]
    assert steps == [step for step in range(20) if second.batch(step, 1).task == "forecast"]
    for position in range(9):
        leads = {first.parts["forecast"].draw(step, position).lead for step in steps}
        assert leads == {6.0, 12.0}


def test_splits_are_kept(forecast_data):
    times = {forecast_data.validation["forecast"].draw(0, position).time for position in range(8)}
    assert min(times) >= np.datetime64("2018-10-03")
