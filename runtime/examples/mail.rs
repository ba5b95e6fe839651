//! Measures mail between two cores: the time of a round trip when both sleep in between, and mails a second
//! when one sends as fast as there is room.
//!
//! `mail <uring|epoll> <seconds>`

use petrel_runtime::{
    BackendChoice, CoreId, Event, Io, LaunchOptions, Program, SocketId, TimerToken, launch, online_cpus,
};
use std::time::Duration;

const FIRST: CoreId = CoreId(0);
const SECOND: CoreId = CoreId(1);
/// Mails written before a turn ends, so that it ends.
const BATCH: usize = 256;

#[derive(Clone, Copy)]
enum Letter {
    Ping,
    Pong,
    Number(u64),
}

#[derive(Default)]
struct Correspondent {
    seconds: u64,
    pongs: u64,
    sent: u64,
    received: u64,
    flooding: bool,
}

impl Correspondent {
    /// Sends a batch and asks, by a timer that is due at once, for another turn.
    fn flood(&mut self, io: &mut Io<'_, Letter>) {
        for _ in 0..BATCH {
            if !io.mail_has_room(SECOND) {
                return;
            }
            io.mail(SECOND, Letter::Number(self.sent % BATCH as u64));
            self.sent += 1;
        }
        io.set_timer(io.now(), TimerToken(2));
    }
}

impl Program for Correspondent {
    type Mail = Letter;
    type Order = ();

    fn start(&mut self, io: &mut Io<'_, Letter>) {
        if io.core() == FIRST {
            io.mail(SECOND, Letter::Ping);
            io.set_timer(io.now().after(Duration::from_secs(self.seconds)), TimerToken(0));
        }
    }

    fn event(&mut self, event: Event<'_, Letter, ()>, io: &mut Io<'_, Letter>) {
        match event {
            Event::Mail { mail: Letter::Ping, .. } => io.mail(FIRST, Letter::Pong),
            Event::Mail { mail: Letter::Pong, .. } => {
                self.pongs += 1;
                if !self.flooding {
                    io.mail(SECOND, Letter::Ping);
                }
            }
            Event::Mail { mail: Letter::Number(number), .. } => {
                assert_eq!(number, self.received % BATCH as u64, "mail out of order");
                self.received += 1;
            }
            Event::Timer(TimerToken(0)) => {
                println!("{:.2} us a round trip", self.seconds as f64 * 1e6 / self.pongs as f64);
                self.flooding = true;
                io.set_timer(io.now().after(Duration::from_secs(self.seconds)), TimerToken(1));
                self.flood(io);
            }
            Event::Timer(TimerToken(1)) => {
                let consumed = io.mails_consumed(SECOND) - self.pongs;
                println!("{:.2} M mails/s", consumed as f64 / self.seconds as f64 / 1e6);
                std::process::exit(0);
            }
            Event::Timer(_) | Event::MailRoom { .. } => self.flood(io),
            _ => {}
        }
    }

    fn finish_turn(&mut self, _io: &mut Io<'_, Letter>) {}

    fn panicked(&mut self, _socket: Option<SocketId>, message: &str, io: &mut Io<'_, Letter>) {
        eprintln!("{message}");
        io.stop();
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, backend, seconds] = arguments.as_slice() else {
        eprintln!("usage: mail <uring|epoll> <seconds>");
        std::process::exit(2);
    };
    let backend = if backend == "epoll" { BackendChoice::Epoll } else { BackendChoice::Uring };
    let seconds: u64 = seconds.parse().unwrap();
    let cpus = online_cpus().into_iter().cycle().take(2).collect();
    let options = LaunchOptions { cpus, backend, mailbox_slots: 0 };
    let node = launch(&options, move |_, _| Correspondent { seconds, ..Correspondent::default() }).unwrap();
    node.join().unwrap();
}
