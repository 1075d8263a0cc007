//! What stands before the processes of one service, as a Kubernetes Service does: one address for the whole test, behind
//! which processes come and go.

use std::collections::HashMap;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Forwards each new connection to one of its backends in turn. Where there is none, the connection is closed at once.
///
/// It runs on threads of its own: a test that blocks does not hold it up.
#[derive(Debug)]
pub struct Front {
    /// Where it listens.
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    backends: Vec<SocketAddr>,
    /// Counts connections: it picks the backend, and names the connection.
    count: usize,
    /// Both ends of each open connection.
    open: HashMap<usize, [TcpStream; 2]>,
    closed: bool,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Front {
    /// One without backends, on a free port.
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(Mutex::new(State::default()));
        let accepting = state.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                if lock(&accepting).closed {
                    return;
                }
                let state = accepting.clone();
                // A client that is gone again, or a backend that is not there: the connection is closed.
                thread::spawn(move || client.and_then(|client| serve(&state, client)));
            }
        });
        Self { address, state }
    }

    /// As `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// New connections go to this backend too.
    pub fn add(&self, backend: SocketAddr) {
        lock(&self.state).backends.push(backend);
    }

    /// New connections go to this backend no more; those that there are go on.
    pub fn remove(&self, backend: SocketAddr) {
        lock(&self.state).backends.retain(|one| *one != backend);
    }

    /// Cuts off all connections that there are.
    pub fn cut(&self) {
        for (_, ends) in lock(&self.state).open.drain() {
            ends.iter().for_each(close);
        }
    }
}

impl Default for Front {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        lock(&self.state).closed = true;
        self.cut();
        // Wakes the thread that listens.
        let _ = TcpStream::connect(self.address);
    }
}

fn close(end: &TcpStream) {
    // It may be closed already.
    let _ = end.shutdown(Shutdown::Both);
}

/// Forwards one connection until both sides have closed it, or either has broken it off.
fn serve(state: &Mutex<State>, client: TcpStream) -> io::Result<()> {
    let (number, backend) = {
        let mut state = lock(state);
        if state.backends.is_empty() {
            return Ok(());
        }
        state.count += 1;
        (state.count, state.backends[state.count % state.backends.len()])
    };
    let backend = TcpStream::connect(backend)?;
    client.set_nodelay(true)?;
    backend.set_nodelay(true)?;
    lock(state).open.insert(number, [client.try_clone()?, backend.try_clone()?]);
    thread::scope(|scope| {
        scope.spawn(|| forward(&client, &backend));
        forward(&backend, &client);
    });
    lock(state).open.remove(&number);
    Ok(())
}

/// Passes on what is said, and the end of it.
fn forward(mut from: &TcpStream, mut to: &TcpStream) {
    let mut buffer = vec![0; 64 * 1024];
    let broken = loop {
        match from.read(&mut buffer) {
            Ok(0) => break to.shutdown(Shutdown::Write),
            Ok(length) => {
                if let Err(error) = to.write_all(&buffer[..length]) {
                    break Err(error);
                }
            }
            Err(error) => break Err(error),
        }
    };
    if broken.is_err() {
        close(from);
        close(to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A backend that says its letter to whoever connects, and then repeats what it hears.
    fn backend(letter: u8) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for mut client in listener.incoming().flatten() {
                thread::spawn(move || -> io::Result<u64> {
                    client.write_all(&[letter])?;
                    io::copy(&mut client.try_clone()?, &mut client)
                });
            }
        });
        address
    }

    fn connect(front: &Front) -> TcpStream {
        TcpStream::connect(front.address).unwrap()
    }

    /// The next letter; None: the connection has ended.
    fn hear(mut connection: &TcpStream) -> Option<u8> {
        let mut letter = [0];
        connection.read_exact(&mut letter).ok().map(|()| letter[0])
    }

    fn answered(front: &Front) -> Option<u8> {
        hear(&connect(front))
    }

    #[test]
    fn new_connections_go_to_the_backends_in_turn_and_nowhere_where_there_is_none() {
        let front = Front::new();
        assert_eq!(answered(&front), None);
        let [a, b] = [b'a', b'b'].map(backend);
        front.add(a);
        front.add(b);
        let mut heard = [(); 4].map(|()| answered(&front).unwrap());
        heard.sort_unstable();
        assert_eq!(heard, *b"aabb");
        front.remove(a);
        assert_eq!([(); 3].map(|()| answered(&front)), [Some(b'b'); 3]);
        front.remove(b);
        assert_eq!(answered(&front), None);
    }

    #[test]
    fn a_connection_outlives_its_backends_removal_but_not_a_cut() {
        let front = Front::new();
        let address = backend(b'a');
        front.add(address);
        let mut connection = connect(&front);
        assert_eq!(hear(&connection), Some(b'a'));
        front.remove(address);
        connection.write_all(b"x").unwrap();
        assert_eq!(hear(&connection), Some(b'x'));
        front.cut();
        assert_eq!(hear(&connection), None);
    }

    #[test]
    fn the_end_of_one_direction_is_passed_on_and_the_other_goes_on() {
        let front = Front::new();
        front.add(backend(b'a'));
        let mut connection = connect(&front);
        connection.write_all(b"xy").unwrap();
        connection.shutdown(Shutdown::Write).unwrap();
        let mut heard = Vec::new();
        connection.read_to_end(&mut heard).unwrap();
        assert_eq!(heard, b"axy");
    }
}
