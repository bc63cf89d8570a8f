//! The scripted model server as its users meet it: over a socket, byte by byte.

#[cfg(test)]
mod anthropic;
#[cfg(test)]
mod client;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod log;
#[cfg(test)]
mod openai;
#[cfg(test)]
mod process;
