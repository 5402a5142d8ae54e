package servers

import (
	"context"
	"fmt"
	"strings"
)

// lagging is an Erlang expression for the queues that lack a copy: a member of a quorum queue that is no leader or
// follower, a copy of a stream that is not there, or either more than 256 entries behind, which is half a second of what
// flows at 500 messages/s while members are asked one after the other.
const lagging = `
Get = fun(Row, Key) -> proplists:get_value(Key, Row, none) end,
Near = fun(Rows, Key) -> All = [Get(Row, Key) || Row <- Rows],
  lists:all(fun erlang:is_integer/1, All) andalso lists:max(All) - lists:min(All) < 256 end,
Whole = fun
  (rabbit_quorum_queue, Nodes, Rows) ->
    length(Rows) == Nodes andalso Near(Rows, <<"Commit Index">>) andalso
      lists:all(fun(Row) -> lists:member(Get(Row, <<"Raft State">>), [leader, follower]) end, Rows);
  (rabbit_stream_queue, Nodes, Rows) -> length(Rows) == Nodes andalso Near(Rows, committed_offset);
  (_, _, _) -> true end,
Nodes = length(rabbit_nodes:all()),
[Name || Q <- rabbit_amqqueue:list(), {resource, Host, queue, Name} <- [amqqueue:get_name(Q)],
  Type <- [amqqueue:get_type(Q)],
  Type == rabbit_quorum_queue orelse Type == rabbit_stream_queue,
  not Whole(Type, Nodes, try Type:status(Host, Name) catch _:_ -> [] end)].`

// rabbitInSync asks a node how far the copies of each queue are.
func (c *Cluster) rabbitInSync(ctx context.Context) error {
	said, err := c.Nodes[0].Rabbitmqctl(ctx, "eval", lagging)
	if err != nil {
		return err
	}
	if said = strings.Join(strings.Fields(said), " "); said != "[]" {
		return fmt.Errorf("queues that lack a copy: %.200s", said)
	}
	return nil
}
