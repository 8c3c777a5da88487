"""LeNet-5 on the digits of scikit-learn: `pip install 'archspec[examples]'`, under a minute."""

import torch
from sklearn.datasets import load_digits
from torch import nn

import archspec

torch.manual_seed(0)
torch.set_num_threads(1)  # the network is too small to share
digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
images = nn.functional.interpolate(images, size=32, mode="bilinear")  # what LeNet-5 reads
labels = torch.tensor(digits.target)
order = torch.randperm(len(images))
train, held_out = order[:-360], order[-360:]

model = archspec.build("lenet5", classes=10)
optimizer = torch.optim.AdamW(model.parameters(), lr=0.008, weight_decay=0.1)
epochs, batch_size = 40, 64
steps = epochs * -(-len(train) // batch_size)
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.008, total_steps=steps)

for epoch in range(1, epochs + 1):
    model.train()
    for batch in train[torch.randperm(len(train))].split(batch_size):
        loss = nn.functional.cross_entropy(model(images[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    if epoch % 10 == 0:
        with torch.no_grad():
            right = model.eval()(images[held_out]).argmax(1) == labels[held_out]
        print(f"epoch {epoch}: {right.float().mean():.4f} of the held-out digits are right")
