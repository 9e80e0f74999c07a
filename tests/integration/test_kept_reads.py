"""A use case asks for a tenant, its path and its project once; what it changes itself it sees at once, on both databases."""

from store import database as store_database
from store import transaction
from tenants import model, service, tree
from tests.integration.tenants_world import city_and_bureau


def test_a_use_case_sees_its_own_changes_of_the_tree(database: store_database.Database) -> None:
    def work(tx: transaction.Transaction) -> None:
        city, tax = city_and_bureau(tx)
        hall = tree.create(tx, tree.NewTenant(code="hall", name="办税大厅", parent=tax))
        assert service.path_codes(tx, hall.id) == ["hall", "tax", "nanhai"]
        moved = tree.move(tx, hall, city)
        assert service.path_codes(tx, hall.id) == ["hall", "nanhai"]
        assert (service.by_code(tx, "hall").generation, service.by_id(tx, hall.id)) == (moved.generation, moved)
        tree.set_state(tx, service.by_id(tx, tax.id), model.State.FROZEN)
        assert service.by_code(tx, "tax").state is model.State.FROZEN
        project = tree.create_project(tx, moved, "queue", "排队叫号")
        assert service.project_by_id(tx, project.id).name == "排队叫号"
        tree.rename_project(tx, project, "预约叫号")
        assert service.project_by_id(tx, project.id).name == "预约叫号"

    database.lane.run(work)


def test_a_code_that_nobody_had_is_found_once_it_is_taken(database: store_database.Database) -> None:
    def work(tx: transaction.Transaction) -> None:
        city, _ = city_and_bureau(tx)
        assert tree.find(tx, "hall") is None
        made = tree.create(tx, tree.NewTenant(code="hall", name="办税大厅", parent=city))
        assert tree.find(tx, "hall") == made

    database.lane.run(work)
