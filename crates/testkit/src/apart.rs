//! The suite as a cluster runs it: processes of one service each, behind a front that the others know it by.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::{Front, Process};

/// The processes of a suite, by service.
///
/// Its methods block, as those of [`Process`].
#[derive(Debug)]
pub struct Apart {
    services: BTreeMap<&'static str, Service>,
    /// Where they run, and with which arguments besides their own.
    folder: PathBuf,
    args: Vec<String>,
}

/// The processes of one service, the oldest first, and what stands before them.
#[derive(Debug, Default)]
struct Service {
    front: Front,
    processes: Vec<Process>,
}

impl Apart {
    /// Starts one process of each service, all at once, and waits until they serve.
    pub(crate) fn start(names: &[&'static str], folder: PathBuf, args: Vec<String>) -> Self {
        let services = names.iter().map(|name| (*name, Service::default())).collect();
        let mut apart = Self { services, folder, args };
        apart.add(names);
        apart
    }

    /// Starts one more process of each of these services, all at once, and waits until they serve.
    pub fn add(&mut self, names: &[&'static str]) {
        let begun: Vec<_> = names.iter().map(|name| (*name, self.begin(name))).collect();
        for (name, process) in begun {
            let service = self.service_mut(name);
            service.front.add(process.address());
            service.processes.push(process);
        }
    }

    /// Takes the oldest process of a service from its front, and has it end as an operator does.
    pub fn terminate(&mut self, name: &str) {
        let ended = self.take(name).terminate();
        assert!(ended.success(), "{name}: {ended}");
    }

    /// Ends the oldest process of a service with SIGKILL; its front notices later.
    pub fn kill(&mut self, name: &str) {
        let service = self.service_mut(name);
        let process = service.processes.remove(0);
        let address = process.address();
        process.kill();
        service.front.remove(address);
    }

    /// The processes of a service, the oldest first.
    pub fn processes(&self, name: &str) -> &[Process] {
        &self.service(name).processes
    }

    /// What stands before a service.
    pub fn front(&self, name: &str) -> &Front {
        &self.service(name).front
    }

    /// Each service and its front.
    pub(crate) fn fronts(&self) -> impl Iterator<Item = (&'static str, &Front)> {
        self.services.iter().map(|(name, service)| (*name, &service.front))
    }

    /// Ends all of them as an operator does.
    pub(crate) fn stop(self) {
        let processes = || self.services.values().flat_map(|service| &service.processes);
        processes().for_each(|process| process.signal("-TERM"));
        for (name, service) in self.services {
            for process in service.processes {
                let ended = process.wait();
                assert!(ended.success(), "{name}: {ended}");
            }
        }
    }

    fn begin(&self, name: &'static str) -> Process {
        let mut args = vec!["--services".to_owned(), name.to_owned()];
        args.extend_from_slice(&self.args);
        for (peer, front) in self.fronts().filter(|(peer, _)| *peer != name) {
            args.extend(["--set".to_owned(), format!("peers.{peer}={}", front.url())]);
        }
        Process::begin(&self.folder, &args)
    }

    fn take(&mut self, name: &str) -> Process {
        let service = self.service_mut(name);
        let process = service.processes.remove(0);
        service.front.remove(process.address());
        process
    }

    fn service(&self, name: &str) -> &Service {
        self.services.get(name).unwrap_or_else(|| panic!("no service {name}"))
    }

    fn service_mut(&mut self, name: &str) -> &mut Service {
        self.services.get_mut(name).unwrap_or_else(|| panic!("no service {name}"))
    }
}
