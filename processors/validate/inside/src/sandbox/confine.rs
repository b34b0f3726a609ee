//! What the child gives up before it sees the first document.

use serde::{Deserialize, Serialize};

/// Bounds of a child. Sizes are bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bounds {
    /// Address space, program text and libraries included.
    pub address_space: u64,
    /// Private writable memory: what bounds the resident set (Linux).
    pub data: u64,
    /// Seconds of processor time for one document (Linux).
    pub cpu_seconds: u64,
    /// Open descriptors.
    pub open_files: u64,
    /// Whether memory may be made executable; only for a scanner that compiles its rules to machine code.
    pub executable_memory: bool,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            address_space: 512 << 20,
            data: 208 << 20,
            cpu_seconds: 20,
            open_files: 16,
            executable_memory: false,
        }
    }
}

/// What holds in a child, by its own account at its start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InForce {
    /// Resource limits that were set, by name.
    pub limits: Vec<String>,
    /// No program it starts could gain rights.
    pub no_new_privileges: bool,
    /// Its memory cannot be read by others of the same user.
    pub undumpable: bool,
    /// It dies with its parent.
    pub dies_with_parent: bool,
    /// Only listed system calls pass: no open, no socket, no exec, no new process.
    pub system_calls: bool,
    /// What could not be had, and why.
    pub missing: Vec<String>,
}

#[cfg(unix)]
pub(super) fn confine(bounds: &Bounds, parent: u32) -> InForce {
    let mut force = InForce::default();
    limits(bounds, &mut force);
    linux::confine(bounds, parent, &mut force);
    force
}

#[cfg(unix)]
fn limits(bounds: &Bounds, force: &mut InForce) {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let wanted = [
        ("address_space", Resource::As, bounds.address_space),
        ("data", Resource::Data, bounds.data),
        ("open_files", Resource::Nofile, bounds.open_files),
        ("file_size", Resource::Fsize, 0),
        ("core", Resource::Core, 0),
        ("processes", Resource::Nproc, 0),
    ];
    for (name, resource, value) in wanted {
        match setrlimit(
            resource,
            Rlimit {
                current: Some(value),
                maximum: Some(value),
            },
        ) {
            Ok(()) => force.limits.push(name.to_owned()),
            Err(error) => force.missing.push(format!("{name}: {error}")),
        }
    }
}

#[cfg(all(unix, not(target_os = "linux")))]
mod linux {
    use super::{Bounds, InForce};

    pub fn confine(_: &Bounds, _: u32, force: &mut InForce) {
        force
            .missing
            .push("system calls, privileges, processor time: not on this system".to_owned());
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::BTreeMap;

    use rustix::process::{DumpableBehavior, Signal, getppid, set_dumpable_behavior, set_parent_process_death_signal};
    use seccompiler::{
        BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
        apply_filter,
    };

    use super::{Bounds, InForce};

    pub fn confine(bounds: &Bounds, parent: u32, force: &mut InForce) {
        match set_parent_process_death_signal(Some(Signal::KILL)) {
            Ok(()) => force.dies_with_parent = true,
            Err(error) => force.missing.push(format!("death with parent: {error}")),
        }
        // It may have died before that.
        if getppid().map(|pid| pid.as_raw_nonzero().get()) != i32::try_from(parent).ok() {
            std::process::exit(0);
        }
        match set_dumpable_behavior(DumpableBehavior::NotDumpable) {
            Ok(()) => force.undumpable = true,
            Err(error) => force.missing.push(format!("undumpable: {error}")),
        }
        match rustix::thread::set_no_new_privs(true) {
            Ok(()) => force.no_new_privileges = true,
            Err(error) => force.missing.push(format!("no new privileges: {error}")),
        }
        match filter(bounds).and_then(|program| apply_filter(&program).map_err(|error| error.to_string())) {
            Ok(()) => force.system_calls = true,
            Err(error) => force.missing.push(format!("system calls: {error}")),
        }
    }

    /// Everything that a process needs which reads what it was given, computes, and writes to its parent.
    const ALLOWED: &[i64] = &[
        // the document and the parent
        libc::SYS_read,
        libc::SYS_readv,
        libc::SYS_pread64,
        libc::SYS_lseek,
        libc::SYS_fstat,
        libc::SYS_close,
        libc::SYS_write,
        libc::SYS_writev,
        libc::SYS_recvmsg,
        libc::SYS_recvfrom,
        libc::SYS_sendto,
        // memory
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_madvise,
        libc::SYS_brk,
        // time and chance
        libc::SYS_clock_gettime,
        libc::SYS_getrandom,
        // locks, signals, the end
        libc::SYS_futex,
        libc::SYS_sched_yield,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sigaltstack,
        libc::SYS_restart_syscall,
        libc::SYS_getpid,
        libc::SYS_gettid,
        libc::SYS_exit,
        libc::SYS_exit_group,
    ];

    fn filter(bounds: &Bounds) -> Result<BpfProgram, String> {
        let said = |error: seccompiler::BackendError| error.to_string();
        let mut rules: BTreeMap<i64, Vec<SeccompRule>> = ALLOWED.iter().map(|call| (*call, Vec::new())).collect();
        for call in [libc::SYS_mmap, libc::SYS_mprotect] {
            let mut when = Vec::new();
            if !bounds.executable_memory {
                let exec = u64::try_from(libc::PROT_EXEC).unwrap_or(4);
                let not =
                    SeccompCondition::new(2, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(exec), 0).map_err(said)?;
                when.push(SeccompRule::new(vec![not]).map_err(said)?);
            }
            rules.insert(call, when);
        }
        // A process may send signals to itself only, which is how `abort` ends it.
        let own = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, std::process::id().into())
            .map_err(said)?;
        rules.insert(libc::SYS_tgkill, vec![SeccompRule::new(vec![own]).map_err(said)?]);
        let refused = SeccompAction::Errno(libc::EPERM.unsigned_abs());
        let arch = std::env::consts::ARCH.try_into().map_err(said)?;
        SeccompFilter::new(rules, refused, SeccompAction::Allow, arch)
            .map_err(said)?
            .try_into()
            .map_err(said)
    }
}
