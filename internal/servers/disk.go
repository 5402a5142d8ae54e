package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// diskSize of a [Disk] in bytes, of which its file takes what is used.
const diskSize = 1 << 30

// Disk is an ext4 file system in a file of its own, which can lose its power. It wants Linux, root's rights, a loop device,
// mkfs.ext4 and mount. Not for concurrent use.
type Disk struct {
	// Dir is where it is mounted, also after a loss.
	Dir string

	image  string
	losses int
}

// NewDisk makes an empty one, whose files are in dir.
func NewDisk(ctx context.Context, dir string) (*Disk, error) {
	d := &Disk{Dir: filepath.Join(dir, "disk"), image: filepath.Join(dir, "disk-0")}
	f, err := os.Create(d.image)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(f.Truncate(diskSize), f.Close(), os.Mkdir(d.Dir, 0o700)); err != nil {
		return nil, err
	}
	if err := disk(ctx, "mkfs.ext4", "-q", "-F", d.image); err != nil {
		return nil, err
	}
	return d, d.mount(ctx)
}

// LosePower ends a process that uses the disk as its machine's loss of power does: kill has to end it, and afterwards the
// disk has what it had while the process still was in the middle of its work. What nobody has synced is missing. Nobody
// else may use it.
func (d *Disk) LosePower(ctx context.Context, victim *os.Process, kill func() error) error {
	if err := freeze(ctx, victim); err != nil {
		return err
	}
	d.losses++
	after := filepath.Join(filepath.Dir(d.image), fmt.Sprintf("disk-%d", d.losses))
	if err := errors.Join(disk(ctx, "cp", "--sparse=always", d.image, after), kill(), disk(ctx, "umount", d.Dir), os.Remove(d.image)); err != nil {
		return err
	}
	d.image = after
	return d.mount(ctx)
}

// Remove frees the disk. Its directory stays.
func (d *Disk) Remove(ctx context.Context) error {
	return errors.Join(disk(ctx, "umount", "-l", d.Dir), os.Remove(d.image))
}

// mount has the kernel write nothing by itself of a file system's own structures for longer than a test takes.
func (d *Disk) mount(ctx context.Context) error {
	return disk(ctx, "mount", "-o", "loop,commit=600", d.image, d.Dir)
}

// disk runs a command about disks.
func disk(ctx context.Context, name string, args ...string) error {
	if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil { //nolint:gosec // one of a few
		return fmt.Errorf("%s %s: %w: %s; want root's rights, a loop device, mkfs.ext4 and mount", name, strings.Join(args, " "), err, out)
	}
	return nil
}

// freeze stops all threads of a process and returns when each has ended what it does in the kernel.
func freeze(ctx context.Context, p *os.Process) error {
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		return fmt.Errorf("freezing process %d: %w", p.Pid, err)
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for !stopped(p.Pid) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("process %d has threads that do not stop: %w", p.Pid, ctx.Err())
		case <-tick.C:
		}
	}
	return nil
}

// LosePower is Kill with the loss of power of the disk that the server's settings have it store on, and then Restart.
func (s *Server) LosePower(ctx context.Context, d *Disk) error {
	if err := s.ours("take the power from"); err != nil {
		return err
	}
	if err := d.LosePower(ctx, s.main().cmd.Process, s.main().kill); err != nil {
		return err
	}
	return s.Restart(ctx)
}
