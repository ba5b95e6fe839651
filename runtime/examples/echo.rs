//! Measures the echo path of one core: round trips a second and CPU seconds of the core's thread for a million.
//!
//! `echo <uring|epoll> <connections> <bytes> <seconds>`; the client runs in the same process on another thread.

use petrel_runtime::{
    BackendChoice, Event, Io, LaunchOptions, ListenOptions, Program, SendOutcome, SocketId, launch,
    online_cpus,
};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

enum Order {
    Listen(Sender<SocketAddr>),
    CpuTime(Sender<Duration>),
    Stop,
}

/// Sends back what it receives.
#[derive(Default)]
struct Echo {
    spare: Vec<u8>,
}

impl Program for Echo {
    type Mail = ();
    type Order = Order;

    fn start(&mut self, _io: &mut Io<'_, ()>) {}

    fn event(&mut self, event: Event<'_, (), Order>, io: &mut Io<'_, ()>) {
        match event {
            Event::Accepted { socket, .. } => io.resume_read(socket),
            Event::Received { socket, data } => {
                let mut buffer = std::mem::take(&mut self.spare);
                buffer.clear();
                buffer.extend_from_slice(data);
                match io.send(socket, buffer) {
                    SendOutcome::Done(buffer) => self.spare = buffer,
                    SendOutcome::Pending => io.pause_read(socket),
                    SendOutcome::Failed(..) => io.close(socket),
                }
            }
            Event::Sent { socket, .. } => io.resume_read(socket),
            Event::Ended { socket, .. } => io.close(socket),
            Event::Order(Order::Listen(reply)) => {
                let options = ListenOptions { address: "127.0.0.1:0".parse().unwrap(), backlog: 4096 };
                let _ = reply.send(io.listen(&options).unwrap().1);
            }
            Event::Order(Order::CpuTime(reply)) => {
                let _ = reply.send(thread_cpu_time());
            }
            Event::Order(Order::Stop) => io.stop(),
            _ => {}
        }
    }

    fn finish_turn(&mut self, _io: &mut Io<'_, ()>) {}

    fn panicked(&mut self, _socket: Option<SocketId>, message: &str, io: &mut Io<'_, ()>) {
        eprintln!("{message}");
        io.stop();
    }
}

/// The first number of the scheduler's statistics is the thread's time on a CPU in nanoseconds.
fn thread_cpu_time() -> Duration {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(statistics.split(' ').next().unwrap().parse().unwrap())
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, backend, connections, bytes, seconds] = arguments.as_slice() else {
        eprintln!("usage: echo <uring|epoll> <connections> <bytes> <seconds>");
        std::process::exit(2);
    };
    let backend = if backend == "epoll" { BackendChoice::Epoll } else { BackendChoice::Uring };
    let connections: usize = connections.parse().unwrap();
    let bytes: usize = bytes.parse().unwrap();
    let seconds: u64 = seconds.parse().unwrap();
    let cpus = online_cpus();
    let options = LaunchOptions { cpus: vec![cpus[0]], backend, mailbox_slots: 0 };
    let node = launch(&options, |_, _| Echo::default()).unwrap();
    let ask = |order: fn(Sender<Duration>) -> Order| {
        let (reply, answer) = channel();
        node.orders[0].send(order(reply));
        answer.recv().unwrap()
    };
    let (reply, answer) = channel();
    node.orders[0].send(Order::Listen(reply));
    let address = answer.recv().unwrap();
    let mut clients: Vec<TcpStream> =
        (0..connections).map(|_| TcpStream::connect(address).unwrap()).collect();
    for client in &clients {
        client.set_nodelay(true).unwrap();
    }
    let message = vec![1; bytes];
    let mut answer = vec![0; bytes];
    let cpu_before = ask(Order::CpuTime);
    let begin = Instant::now();
    let mut round_trips = 0u64;
    while begin.elapsed() < Duration::from_secs(seconds) {
        for client in &mut clients {
            client.write_all(&message).unwrap();
        }
        for client in &mut clients {
            client.read_exact(&mut answer).unwrap();
        }
        round_trips += connections as u64;
    }
    let took = begin.elapsed();
    let cpu = ask(Order::CpuTime) - cpu_before;
    println!(
        "{backend:?} {connections} x {bytes} B: {:.0} round trips/s, {:.2} CPU-s per million",
        round_trips as f64 / took.as_secs_f64(),
        cpu.as_secs_f64() / round_trips as f64 * 1e6,
    );
    drop(clients);
    node.orders[0].send(Order::Stop);
    node.join().unwrap();
}
