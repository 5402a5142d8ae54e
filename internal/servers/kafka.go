package servers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// kafkaVersion is the newest of 4.1 that there was when this line was written.
const kafkaVersion = "4.1.2"

// installKafka answers the directory of Kafka's jars.
func installKafka(ctx context.Context, log io.Writer) (string, error) {
	dir, err := cache()
	if err != nil {
		return "", err
	}
	jars := filepath.Join(dir, "kafka-"+kafkaVersion)
	noJava := func() bool { return !onPath("java") }
	noMaven := func() bool { return !exists(jars) && !onPath("mvn") }
	return jars, errors.Join(
		alone(ctx, noJava, func() error { return system().install(ctx, log, "default-jre-headless") }),
		alone(ctx, noMaven, func() error { return system().install(ctx, log, "maven") }),
		alone(ctx, func() bool { return !exists(jars) }, func() error { return fetchKafka(ctx, log, jars) }),
	)
}

// pom names what Kafka consists of.
const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>parley</groupId><artifactId>kafka</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>` + kafkaVersion + `</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>` + kafkaVersion + `</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
`

// copyDependencies is Maven's goal with its version, so that the same jars come everywhere.
const copyDependencies = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"

// fetchKafka makes the directory of the jars, all of them or none.
func fetchKafka(ctx context.Context, log io.Writer, jars string) error {
	sayf(log, "mvn copy-dependencies: Apache Kafka %s, 54 MB, into %s", kafkaVersion, jars)
	dir, err := os.MkdirTemp(filepath.Dir(jars), "new-kafka-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a left-over directory of a cache
	if err := os.WriteFile(filepath.Join(dir, "pom.xml"), []byte(pom), 0o600); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "mvn", "-B", "-ntp", "-q", copyDependencies, "-DincludeScope=runtime", "-DoutputDirectory=jars")
	cmd.Dir = dir
	if err := silent(cmd); err != nil {
		return fmt.Errorf("fetching Apache Kafka %s from Maven's repository: %w", kafkaVersion, err)
	}
	return os.Rename(filepath.Join(dir, "jars"), jars)
}

// kafkaVariables of the environment change what Java does.
var kafkaVariables = []string{"KAFKA_", "JAVA_TOOL_OPTIONS=", "JDK_JAVA_OPTIONS=", "CLASSPATH="}

// The ports of a Kafka broker.
const (
	kafkaClients = iota
	kafkaBrokers
	kafkaControllers
)

// layKafka prepares a broker that is a controller too, and formats its storage.
func (s *Server) layKafka(ctx context.Context, jars string) error {
	java, err := exec.LookPath("java")
	if err != nil {
		return err
	}
	if err := s.write(map[string]string{"server.properties": lines(s.kafkaSettings(), "=")}); err != nil {
		return err
	}
	s.programs = []program{{
		name: "kafka", path: java, env: cleanEnv(kafkaVariables...),
		args: []string{"-Xms256m", "-Xmx512m", "-cp", filepath.Join(jars, "*"), "-Dorg.slf4j.simpleLogger.showDateTime=true",
			"-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSS", "kafka.Kafka", "server.properties"},
		ready: "Kafka Server started", address: s.layout.addresses(kafkaClients)[s.node],
	}}
	return s.formatKafka(ctx)
}

// jars are those that a program of Java runs, as layKafka has them.
func (p program) jars() string { return p.args[len(p.args)-5] }

func (s *Server) kafkaSettings() map[string]string {
	ports := s.layout.ports[s.node]
	clients, brokers, controller := address(ports[kafkaClients]), address(ports[kafkaBrokers]), address(ports[kafkaControllers])
	advertised := clients
	if s.options.Advertise != "" {
		advertised = s.options.Advertise
	}
	var voters []string
	for i, node := range s.layout.addresses(kafkaControllers) {
		voters = append(voters, fmt.Sprintf("%d@%s", i+1, node))
	}
	copies, inSync := strconv.Itoa(len(voters)), strconv.Itoa(len(voters)/2+1)
	settings := map[string]string{
		"process.roles":                                    "broker,controller",
		"node.id":                                          strconv.Itoa(s.node + 1),
		"controller.quorum.voters":                         strings.Join(voters, ","),
		"controller.listener.names":                        "CONTROLLER",
		"listeners":                                        "CLIENTS://" + clients + ",BROKERS://" + brokers + ",CONTROLLER://" + controller,
		"advertised.listeners":                             "CLIENTS://" + advertised + ",BROKERS://" + brokers,
		"listener.security.protocol.map":                   "CLIENTS:PLAINTEXT,BROKERS:PLAINTEXT,CONTROLLER:PLAINTEXT",
		"inter.broker.listener.name":                       "BROKERS",
		"log.dirs":                                         filepath.Join(s.dir, "data"),
		"broker.session.timeout.ms":                        "3000", // a broker that was killed can't come back before
		"broker.heartbeat.interval.ms":                     "500",
		"auto.create.topics.enable":                        "false",
		"group.initial.rebalance.delay.ms":                 "0",
		"default.replication.factor":                       copies,
		"min.insync.replicas":                              inSync,
		"offsets.topic.replication.factor":                 copies,
		"transaction.state.log.replication.factor":         copies,
		"transaction.state.log.min.isr":                    inSync,
		"share.coordinator.state.topic.replication.factor": copies,
		"share.coordinator.state.topic.min.isr":            inSync,
	}
	if !s.layout.alone() {
		maps.Copy(settings, patientKafka)
	}
	maps.Copy(settings, s.options.Settings)
	return settings
}

// patientKafka are limits that three brokers keep while they start on two busy cores; with Kafka's own, and with those of a
// broker alone, their controllers elected each other again and again for minutes.
var patientKafka = map[string]string{
	"broker.session.timeout.ms":             "9000",
	"broker.heartbeat.interval.ms":          "2000",
	"controller.quorum.election.timeout.ms": "3000",
	"controller.quorum.fetch.timeout.ms":    "5000",
	"controller.quorum.request.timeout.ms":  "5000",
}

// formatKafka makes the directory of a broker that is to store something.
func (s *Server) formatKafka(ctx context.Context) error {
	java := s.programs[0]
	cmd := exec.CommandContext(ctx, java.path, "-XX:TieredStopAtLevel=1", "-cp", java.jars(), "kafka.tools.StorageTool", //nolint:gosec // what this package installs
		"format", "--config", "server.properties", "--cluster-id", s.layout.id)
	cmd.Dir, cmd.Env = s.dir, java.env
	if err := silent(cmd); err != nil {
		return fmt.Errorf("formatting Kafka's storage in %s (Java must be 17 or newer): %w", s.dir, err)
	}
	return nil
}
