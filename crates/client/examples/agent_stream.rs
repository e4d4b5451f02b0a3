//! An agent that answers texts, by the live stream: it needs no public URL.
//!
//! SWITCHBOARD_URL=http://127.0.0.1:8080 SWITCHBOARD_API_KEY=sk_live_… SWITCHBOARD_LINE=+15550100001 \
//!     cargo run -p switchboard-client --example agent_stream
//!
//! SWITCHBOARD_LAST_EVENT_ID, if set, is where it goes on: the id of the last event it had handled.

use std::{env, error::Error};

use switchboard_client::{Client, Event, LiveEvent, SendMessage};
use switchboard_model::{EventKind, event::MessageEvent};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (url, key) = (env::var("SWITCHBOARD_URL")?, env::var("SWITCHBOARD_API_KEY")?);
    let line = env::var("SWITCHBOARD_LINE")?;
    // Calls are repeated when the network fails, each with one Idempotency-Key.
    let client = Client::builder(&url).key(&key).retries(5).build()?;

    let mut stream = client.events().events([EventKind::MessageReceived]).lines([&line]);
    if let Ok(id) = env::var("SWITCHBOARD_LAST_EVENT_ID") {
        stream = stream.last_event_id(id);
    }
    let mut events = stream.open().await?;
    eprintln!("ready");

    // The stream connects again by itself, without a gap and without a repeat.
    while let Some(event) = events.next().await {
        match event {
            Ok(LiveEvent { id, data: Event::MessageReceived(received), .. }) => {
                match answer(&client, &received).await {
                    Ok(()) => eprintln!("handled event {id}"),
                    // A conversation that can't be answered must not end all others.
                    Err(error) => eprintln!("event {id}: {error}"),
                }
            }
            Ok(_) => {}
            // The last item of a stream that has ended says why; one before it is an event
            // that can't be read.
            Err(error) => eprintln!("{error}"),
        }
    }
    Err("the stream has ended".into())
}

async fn answer(client: &Client, received: &MessageEvent) -> Result<(), switchboard_client::Error> {
    let message = &received.message;
    // Never talk to ourselves, however the events are chosen.
    if message.is_from_me {
        return Ok(());
    }
    let Some(text) = &message.text else { return Ok(()) };
    // The chat, not the sender: in a group the answer belongs to the group.
    let answer = SendMessage::text(
        received.line_handle.as_str(),
        message.chat_id.to_string(),
        format!("You said: {text}"),
    )
    .reply_to(message.id.to_string());
    // One answer to one message, even if this program is started twice or begins again.
    let once = client.with_idempotency_key(&format!("answer-{}", message.id))?;
    once.send_message(&answer).await?;
    Ok(())
}
