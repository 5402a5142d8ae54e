package servers

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fakeApt is an apt-get that remembers what it was told, and whose first installation fails as with missing lists.
const fakeApt = `#!/bin/sh
echo "$*" >> "$FAKE_APT_LOG"
case "$*" in
*install*) [ "$(/bin/grep -c install "$FAKE_APT_LOG")" -gt "$FAKE_APT_FAILURES" ] || { echo "E: Unable to locate package"; exit 100; } ;;
esac
`

func withFakeApt(t *testing.T, failures string) (told func() []string) {
	t.Helper()
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	if err := os.WriteFile(filepath.Join(dir, "apt-get"), []byte(fakeApt), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	t.Setenv("FAKE_APT_LOG", log)
	t.Setenv("FAKE_APT_FAILURES", failures)
	return func() []string {
		b, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSpace(string(b)), "\n")
	}
}

func TestTheListsOfPackagesAreFetchedWhereAnInstallationFails(t *testing.T) {
	told := withFakeApt(t, "1")
	var log bytes.Buffer
	manager := packages{policy: filepath.Join(t.TempDir(), "policy-rc.d"), units: t.TempDir()}
	if err := manager.install(t.Context(), &log, "a", "b"); err != nil {
		t.Fatal(err)
	}
	got := told()
	if len(got) != 3 || !strings.Contains(got[0], "install -y --no-install-recommends a b") || !strings.Contains(got[1], "update") || got[2] != got[0] {
		t.Errorf("apt-get was told %q; want install, update, install", got)
	}
	if !strings.Contains(log.String(), "apt-get install a b\n") || !strings.Contains(log.String(), "apt-get update") {
		t.Errorf("log = %q; want what was done", log.String())
	}
	if exists(manager.policy) {
		t.Error("the policy that forbids services is left; want it removed")
	}
}

func TestWhatCannotBeInstalledNamesTheCommandThatWouldHelp(t *testing.T) {
	const command = "apt-get update && apt-get install -y --no-install-recommends a b"
	told := withFakeApt(t, "9")
	manager := packages{policy: filepath.Join(t.TempDir(), "policy-rc.d"), units: t.TempDir()}
	err := manager.install(t.Context(), new(bytes.Buffer), "a", "b")
	if err == nil || !strings.Contains(err.Error(), command) || !strings.Contains(err.Error(), "Unable to locate package") {
		t.Errorf("install = %v; want %q and apt-get's own words", err, command)
	}
	if exists(manager.policy) || len(told()) != 3 {
		t.Errorf("the policy is there: %v, apt-get was told %q; want false, three things", exists(manager.policy), told())
	}

	manager.user = 1000
	if err := manager.install(t.Context(), new(bytes.Buffer), "a", "b"); err == nil || !strings.Contains(err.Error(), "sudo sh -c '"+command+"'") {
		t.Errorf("install without being root = %v; want the command with sudo", err)
	}
	t.Setenv("PATH", t.TempDir())
	if err := manager.install(t.Context(), new(bytes.Buffer), "a", "b"); err == nil || !strings.Contains(err.Error(), "a, b") {
		t.Errorf("install without apt-get = %v; want the packages", err)
	}
}

func TestAPolicyThatIsThereIsLeftAsItIs(t *testing.T) {
	policy := filepath.Join(t.TempDir(), "policy-rc.d")
	if err := os.WriteFile(policy, []byte("theirs"), 0o700); err != nil {
		t.Fatal(err)
	}
	lift, err := packages{policy: policy}.forbidServices()
	if err != nil {
		t.Fatal(err)
	}
	if err := lift(); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(policy); string(b) != "theirs" {
		t.Errorf("the policy says %q; want theirs", b)
	}
}

func TestServicesThatThePackagesBringAreDisabledAndStopped(t *testing.T) {
	manager := packages{units: t.TempDir()}
	if err := os.WriteFile(filepath.Join(manager.units, "epmd.socket"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	record := filepath.Join(bin, "log")
	if err := os.WriteFile(filepath.Join(bin, "systemctl"), []byte("#!/bin/sh\necho \"$*\" >> "+record+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin)
	if err := manager.disable(t.Context(), new(bytes.Buffer)); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(record); string(b) != "disable epmd.socket\nstop epmd.socket\n" {
		t.Errorf("systemctl was told %q; want disable, stop of epmd.socket and of nothing that is not there", b)
	}
}
