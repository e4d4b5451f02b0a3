//! What a driver spawns as `imsg`: carries stdin and stdout to a Mac that lives in the test.
//!
//! The Mac's address is in `FAKE_IMSG`, or in the file `<this program>.mac` beside the name that it was called by.

use std::{
    env,
    io::{self, BufRead, BufReader, Write},
    net::TcpStream,
    process, thread,
};

use switchboard_fakes::imsg::wire;

fn main() {
    match run() {
        Ok(code) => process::exit(code),
        Err(error) => {
            // Nobody is left to tell when stderr is closed, too.
            let _ = writeln!(io::stderr(), "fake-imsg: {error}");
            process::exit(1);
        }
    }
}

fn run() -> io::Result<i32> {
    let mut args = env::args();
    let program = args.next().unwrap_or_default();
    let address = match env::var(wire::VARIABLE) {
        Ok(address) => address,
        Err(_) => std::fs::read_to_string(format!("{program}.mac"))?,
    };
    let socket = TcpStream::connect(address.trim())?;
    socket.set_nodelay(true)?;
    let version = env::var("IMSG_VERSION").ok();
    let mut to_mac = socket.try_clone()?;
    writeln!(to_mac, "{}", wire::hello(&args.collect::<Vec<_>>(), version.as_deref()))?;
    thread::spawn(move || carry_input(to_mac));

    let (mut out, mut err) = (io::stdout().lock(), io::stderr().lock());
    let mut from_mac = BufReader::new(socket);
    let mut line = Vec::new();
    loop {
        line.clear();
        if from_mac.read_until(b'\n', &mut line)? == 0 {
            return Ok(1);
        }
        match line.first() {
            Some(&wire::OUT) => {
                out.write_all(&line[1..])?;
                out.flush()?;
            }
            Some(&wire::ERR) => err.write_all(&line[1..])?,
            _ => {
                let code = String::from_utf8_lossy(&line[1..]);
                return Ok(code.trim().parse().unwrap_or(1));
            }
        }
    }
}

/// Sends what stdin has, a line at a time, and that it has ended.
fn carry_input(mut to_mac: TcpStream) {
    let mut stdin = io::stdin().lock();
    let mut line = vec![wire::INPUT];
    while stdin.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        if line.last() != Some(&b'\n') {
            line.push(b'\n');
        }
        // The other thread sees a Mac that is gone.
        if to_mac.write_all(&line).is_err() {
            return;
        }
        line.truncate(1);
    }
    let _ = to_mac.write_all(&[wire::END, b'\n']);
}
