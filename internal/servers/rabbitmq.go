package servers

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// rabbitScripts is where Debian has the scripts that do not change the user.
const rabbitScripts = "/usr/lib/rabbitmq/bin"

// installRabbitMQ answers the directory of the server's scripts.
func installRabbitMQ(ctx context.Context, log io.Writer) (string, error) {
	missing := func() bool { return findRabbitMQ() == "" }
	err := alone(ctx, missing, func() error { return system().install(ctx, log, "rabbitmq-server") })
	return findRabbitMQ(), err
}

func findRabbitMQ() string {
	if exists(filepath.Join(rabbitScripts, "rabbitmq-server")) {
		return rabbitScripts
	}
	if found, err := exec.LookPath("rabbitmq-server"); err == nil {
		return filepath.Dir(found)
	}
	return ""
}

// The ports of a RabbitMQ node.
const (
	rabbitClients = iota
	rabbitNodes
	rabbitNames
)

// layRabbitMQ prepares a node of its own: names, ports, directories, cookie, user, virtual host. The nodes of a cluster
// share the epmd that comes with the first.
func (s *Server) layRabbitMQ(_ context.Context, scripts string) error {
	epmd, err := exec.LookPath("epmd")
	if err != nil {
		return fmt.Errorf("rabbitmq needs Erlang's epmd, which apt-get install erlang-base brings: %w", err)
	}
	clients := s.layout.addresses(rabbitClients)[s.node]
	names := strconv.Itoa(s.layout.ports[0][rabbitNames])
	env := s.rabbitEnv(names)
	if err := s.write(map[string]string{
		".erlang.cookie":  s.layout.id,
		"rabbitmq.conf":   lines(s.rabbitSettings(), " = "),
		"advanced.config": rabbitAdvanced,
		"enabled_plugins": "[].\n",
	}); err != nil {
		return err
	}
	if s.node == 0 {
		s.programs = append(s.programs, program{
			name: "epmd", path: epmd, args: []string{"-port", names, "-address", host}, env: env, address: s.layout.addresses(rabbitNames)[0],
		})
	}
	s.programs = append(s.programs, program{
		name: "rabbitmq", path: filepath.Join(scripts, "rabbitmq-server"), env: env, ready: "Server startup complete", address: clients,
	})
	return nil
}

func (s *Server) rabbitEnv(names string) []string {
	return append(cleanEnv("RABBITMQ_", "ERL_", "HOME=", "NOTIFY_SOCKET="),
		"HOME="+s.dir,              // of .erlang.cookie
		"ERL_CRASH_DUMP_SECONDS=0", // none: they are large, and the log says why
		"ERL_EPMD_PORT="+names,
		"ERL_EPMD_ADDRESS="+host,
		// The scripts replace themselves by the server, whose process can then be killed and frozen, as under systemd.
		"RUNNING_UNDER_SYSTEMD=true",
		"RABBITMQ_NODENAME="+s.layout.rabbitNode(s.node),
		"RABBITMQ_DIST_PORT="+strconv.Itoa(s.layout.ports[s.node][rabbitNodes]),
		"ERL_AFLAGS=-kernel inet_dist_use_interface {127,0,0,1}", // of the node and of rabbitmqctl
		"RABBITMQ_CONF_ENV_FILE="+os.DevNull,
		"RABBITMQ_CONFIG_FILE="+filepath.Join(s.dir, "rabbitmq.conf"),
		"RABBITMQ_ADVANCED_CONFIG_FILE="+filepath.Join(s.dir, "advanced.config"),
		"RABBITMQ_ENABLED_PLUGINS_FILE="+filepath.Join(s.dir, "enabled_plugins"),
		"RABBITMQ_MNESIA_BASE="+filepath.Join(s.dir, "data"),
		"RABBITMQ_LOG_BASE="+s.Logs,
	)
}

// rabbitAdvanced is what rabbitmq.conf has no words for: the server tries every 10 s, and not every 3 minutes, to move on a
// message whose time was over while it did not know yet, as it had just started, where to.
const rabbitAdvanced = "[{rabbit, [{dead_letter_worker_publisher_confirm_timeout, 10000}]}].\n"

func (s *Server) rabbitSettings() map[string]string {
	settings := map[string]string{
		"listeners.tcp.local":               s.layout.addresses(rabbitClients)[s.node],
		"default_user":                      "parley",
		"default_pass":                      s.layout.password,
		"default_vhost":                     "parley",
		"default_user_tags.administrator":   "true",
		"log.console":                       "true",
		"log.console.level":                 "info",
		"log.console.use_colors":            "off",
		"log.file":                          "false",
		"vm_memory_high_watermark.absolute": "1GB",
		"disk_free_limit.absolute":          "50MB",
	}
	if !s.layout.alone() {
		settings["cluster_partition_handling"] = "pause_minority"
		settings["cluster_formation.peer_discovery_backend"] = "classic_config"
		for i := range s.layout.ports {
			settings["cluster_formation.classic_config.nodes."+strconv.Itoa(i+1)] = s.layout.rabbitNode(i)
		}
	}
	maps.Copy(settings, s.options.Settings)
	return settings
}

// rabbitNode is the name of a node.
func (l *layout) rabbitNode(node int) string {
	return fmt.Sprintf("parley-%d@localhost", l.ports[node][rabbitClients])
}

// Rabbitmqctl runs that tool on a RabbitMQ of this package, for what no client can do (users, rights, what is stored), and
// answers what it printed. Each run takes seconds.
func (s *Server) Rabbitmqctl(ctx context.Context, args ...string) (string, error) {
	if err := s.ours("administer"); err != nil {
		return "", err
	}
	if s.kind != RabbitMQ {
		return "", fmt.Errorf("rabbitmqctl administers no %s", s.kind)
	}
	node := s.main()
	cmd := exec.CommandContext(ctx, filepath.Join(filepath.Dir(node.path), "rabbitmqctl"), append([]string{"-q"}, args...)...) //nolint:gosec // what this package installs
	cmd.Env, cmd.Dir = node.env, node.dir
	return output(cmd)
}
