"""Presence over several nodes: nodes that tell each other, some of it lost, against a model that sees everything."""

from __future__ import annotations

import random

from chatserver.core.everywhere import Count, Everywhere, user_hash

GRACE_S = 10.0


class Cluster:
    """Nodes whose talk arrives when the test says so, and what the readers of each were told."""

    def __init__(self, *names: str) -> None:
        self.now_s = 0.0
        self.mail: list[tuple[str, str, bool]] = []
        self.nodes = {name: self._node(name) for name in names}
        self.told: dict[str, list[tuple[str, bool]]] = {name: [] for name in names}

    def _node(self, name: str) -> Everywhere:
        node = Everywhere(GRACE_S)
        node.announce = lambda user, online: self.mail.append((name, user, online))
        return node

    def deliver(self) -> None:
        mail, self.mail = self.mail, []
        for sender, user, online in mail:
            for name, node in self.nodes.items():
                if name != sender:
                    self.told[name] += node.heard(sender, user, online)

    def open(self, name: str, user: str) -> None:
        if self.nodes[name].stream_opened(user):
            self.told[name].append((user, True))

    def close(self, name: str, user: str) -> None:
        self.nodes[name].stream_closed(user, self.now_s)

    def poll(self, name: str, user: str, hold_s: float) -> None:
        if self.nodes[name].polled(user, self.now_s, hold_s):
            self.told[name].append((user, True))

    def pass_time(self, seconds: float) -> None:
        self.now_s += seconds
        for name, node in self.nodes.items():
            self.told[name] += [(user, False) for user in node.expire(self.now_s)]
        self.deliver()


def test_a_user_of_two_nodes_comes_once_and_goes_once() -> None:
    cluster = Cluster("a", "b", "c")
    cluster.open("a", "ann")
    cluster.deliver()
    cluster.open("b", "ann")
    cluster.deliver()
    cluster.close("a", "ann")
    cluster.pass_time(GRACE_S)
    assert all(node.is_online("ann") for node in cluster.nodes.values())
    cluster.close("b", "ann")
    cluster.pass_time(GRACE_S - 1)
    assert all(told == [("ann", True)] for told in cluster.told.values())
    cluster.pass_time(1)
    assert all(told == [("ann", True), ("ann", False)] for told in cluster.told.values())


def test_polls_in_turn_over_the_nodes_do_not_flicker() -> None:
    cluster = Cluster("a", "b", "c")
    for round_ in range(30):
        cluster.poll("abc"[round_ % 3], "ann", hold_s=0.0)
        cluster.deliver()
        cluster.pass_time(5)
    assert all(told == [("ann", True)] for told in cluster.told.values())
    cluster.pass_time(GRACE_S)
    assert all(told == [("ann", True), ("ann", False)] for told in cluster.told.values())


def test_the_users_of_a_node_that_is_gone_have_the_grace_and_then_leave() -> None:
    cluster = Cluster("a", "b")
    for user in ("ann", "bob"):
        cluster.open("a", user)
    cluster.deliver()
    del cluster.nodes["a"]
    cluster.nodes["b"].lost("a", cluster.now_s)
    cluster.pass_time(1)
    cluster.open("b", "bob")  # came back by the node that is left
    cluster.pass_time(GRACE_S)
    assert cluster.told["b"] == [("ann", True), ("bob", True), ("ann", False)]
    assert cluster.nodes["b"].is_online("bob")


def test_whose_account_has_ended_is_offline_on_every_node_whatever_was_known() -> None:
    cluster = Cluster("a", "b", "c")
    cluster.open("a", "ann")
    cluster.open("b", "ann")
    cluster.deliver()
    assert [node.drop("ann") for node in cluster.nodes.values()] == [True, True, True]
    cluster.deliver()
    assert not any(node.is_online("ann") for node in cluster.nodes.values())
    assert all(node.count() == Count(0, 0) for node in cluster.nodes.values())
    assert all(told == [("ann", True)] for told in cluster.told.values())


def test_after_any_talk_of_which_some_is_lost_a_whole_list_makes_the_nodes_agree() -> None:
    users, names = [f"u{number}" for number in range(12)], ("a", "b", "c")
    for seed in range(60):
        luck, cluster = random.Random(seed), Cluster(*names)
        open_: list[tuple[str, str]] = []
        for _ in range(200):
            pick = luck.random()
            if pick < 0.4:
                open_.append((luck.choice(names), luck.choice(users)))
                cluster.open(*open_[-1])
            elif pick < 0.7 and open_:
                cluster.close(*open_.pop(luck.randrange(len(open_))))
            elif pick < 0.8:
                cluster.poll(luck.choice(names), luck.choice(users), luck.choice([0.0, 25.0]))
            elif pick < 0.9:
                cluster.mail = [letter for letter in cluster.mail if luck.random() < 0.7]
                cluster.deliver()
            else:
                cluster.pass_time(luck.choice([0.5, 7.0]))
        cluster.deliver()
        mended = 0
        for name, node in cluster.nodes.items():
            for other_name, other in cluster.nodes.items():
                if other_name != name and not other.agrees(name, node.count()):
                    cluster.told[other_name] += other.heard_whole(name, node.online())
                    mended += 1
                    assert other.agrees(name, node.count())
        for user in users:
            here = any(user in node.online() for node in cluster.nodes.values())
            for name, node in cluster.nodes.items():
                assert node.is_online(user) == here
                # Coming and going are told by turns, and the last word is the truth.
                words = [online for who, online in cluster.told[name] if who == user]
                assert words == [at % 2 == 0 for at in range(len(words))]
                assert bool(words and words[-1]) == here
        assert seed or mended, "the talk had losses"


def test_a_whole_list_takes_away_whom_it_does_not_name() -> None:
    """Whose going was lost would stay online for good."""
    node = Everywhere(GRACE_S)
    node.heard("b", "ann", True)
    node.heard("c", "cho", True)
    assert node.heard_whole("b", ["bob"]) == [("ann", False), ("bob", True)]
    assert node.agrees("b", Count(1, user_hash("bob")))
    assert [node.is_online(each) for each in ("ann", "bob", "cho")] == [False, True, True]


def test_the_hash_of_a_user_is_the_same_in_every_process() -> None:
    assert user_hash("") == 0xCBF29CE484222325
    assert user_hash("a") == 0xAF63DC4C8601EC8C  # of the published test vectors
